//! A table for people.

use crate::catalogue::Sbom;

/// One line for each package, with a headline; columns are two spaces apart.
#[must_use]
pub fn lines(sbom: &Sbom) -> Vec<String> {
    let mut rows = vec![["NAME", "VERSION", "TYPE", "FOUND IN"].map(str::to_owned)];
    for package in &sbom.packages {
        let kind = package.purl.kind();
        let place = package.locations.first();
        rows.push([
            package.name.clone(),
            package.version.clone().unwrap_or_else(|| "-".to_owned()),
            kind.to_owned(),
            place.map(|place| place.path.clone()).unwrap_or_default(),
        ]);
    }
    let width = |column: usize| {
        let widths = rows.iter().map(|row| row[column].chars().count());
        widths.max().unwrap_or_default()
    };
    let widths = [width(0), width(1), width(2)];
    rows.iter()
        .map(|[name, version, kind, place]| {
            let [a, b, c] = widths;
            format!("{name:a$}  {version:b$}  {kind:c$}  {place}")
        })
        .collect()
}
