//! `META-INF/MANIFEST.MF` of a Java archive: the attributes of its first section.
//!
//! <https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html>

/// The attributes, by their names.
pub(super) struct Manifest(Vec<(String, String)>);

impl Manifest {
    /// Reads the first section. A line that begins with a space continues the one before it.
    pub(super) fn read(text: &str) -> Self {
        let mut attributes: Vec<(String, String)> = Vec::new();
        for line in text.lines().take_while(|line| !line.is_empty()) {
            if let Some(more) = line.strip_prefix(' ') {
                if let Some((_, value)) = attributes.last_mut() {
                    value.push_str(more);
                }
            } else if let Some((key, value)) = line.split_once(':') {
                attributes.push((key.to_owned(), value.trim_start().to_owned()));
            }
        }
        Self(attributes)
    }

    /// The first of these that says something, without what follows a semicolon.
    pub(super) fn first(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| {
            let same = |(name, _): &&(String, String)| name.eq_ignore_ascii_case(key);
            let value = &self.0.iter().find(same)?.1;
            super::input::name(value.split(';').next()?)
        })
    }
}
