//! What the user has set for AWS: variables of the environment, and the files `~/.aws/config` and
//! `~/.aws/credentials`.
//!
//! Invariant: a variable wins over the files, and of the files that of credentials over the other, as everywhere with
//! AWS. An empty variable is one that is not set.
//!
//! Format: <https://docs.aws.amazon.com/sdkref/latest/guide/file-format.html>

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use super::Error;

/// A file with more is not one of settings.
const MAX_FILE: u64 = 1 << 20;

/// Gives a variable of the environment.
pub(super) type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// Names and values; those that are indented below a name are `NAME.INNER`.
pub(super) type Section = BTreeMap<String, Zeroizing<String>>;

/// All settings.
#[derive(Clone)]
pub(super) struct Config {
    environment: Environment,
    /// The profile's name.
    pub(super) profile: String,
    /// The variable that chose it.
    pub(super) chosen_by: Option<&'static str>,
    /// `profile NAME`, `sso-session NAME`, `services NAME`, and what they say.
    sections: BTreeMap<String, Section>,
    /// The files that were read, and those that are not there.
    pub(super) files: Vec<(PathBuf, bool)>,
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Reads the files.
    pub(super) async fn load(environment: Environment) -> Result<Self, Error> {
        let mut config = Self {
            environment,
            profile: "default".to_owned(),
            chosen_by: None,
            sections: BTreeMap::new(),
            files: Vec::new(),
        };
        for name in ["AWS_PROFILE", "AWS_DEFAULT_PROFILE"] {
            if let (None, Some(profile)) = (config.chosen_by, config.variable(name)) {
                (config.profile, config.chosen_by) = (profile, Some(name));
            }
        }
        let files = [
            ("AWS_CONFIG_FILE", "config", false),
            ("AWS_SHARED_CREDENTIALS_FILE", "credentials", true),
        ];
        for (variable, name, only_profiles) in files {
            let Some(path) = config.path(variable, name) else {
                continue;
            };
            let text = read(&path).await?;
            config.files.push((path, text.is_some()));
            for (name, section) in parse(text.as_deref().map_or("", String::as_str)) {
                let name = match only_profiles || name == "default" {
                    true => format!("profile {name}"),
                    false => name,
                };
                config.sections.entry(name).or_default().extend(section);
            }
        }
        Ok(config)
    }

    /// A variable that is set, and not empty.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        (self.environment)(name).filter(|value| !value.is_empty())
    }

    fn path(&self, variable: &str, name: &str) -> Option<PathBuf> {
        match self.variable(variable) {
            Some(path) => Some(self.expand(&path)),
            None => Some(self.home()?.join(".aws").join(name)),
        }
    }

    /// The user's own folder.
    pub(super) fn home(&self) -> Option<PathBuf> {
        self.variable("HOME").map(PathBuf::from)
    }

    fn expand(&self, path: &str) -> PathBuf {
        match (path.strip_prefix("~/"), self.home()) {
            (Some(rest), Some(home)) => home.join(rest),
            _ => path.into(),
        }
    }

    /// A section, as `profile NAME`.
    pub(super) fn section(&self, kind: &str, name: &str) -> Option<&Section> {
        self.sections.get(&format!("{kind} {name}"))
    }

    /// What the chosen profile says.
    pub(super) fn of_profile(&self, key: &str) -> Option<String> {
        let value = self.section("profile", &self.profile)?.get(key)?;
        Some(value.to_string()).filter(|value| !value.is_empty())
    }

    /// A variable, or else what the profile says.
    pub(super) fn setting(&self, variable: &str, key: &str) -> Option<String> {
        self.variable(variable).or_else(|| self.of_profile(key))
    }

    /// The region that the user has set.
    pub(super) fn region(&self) -> Option<String> {
        let variables = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        let set = variables.iter().find_map(|name| self.variable(name));
        set.or_else(|| self.of_profile("region"))
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, variable: &str, key: &str) -> bool {
        self.setting(variable, key)
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// The URL that the user has set for a service, `kms` or `sts`.
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
    pub(super) fn endpoint(&self, service: &str) -> Option<String> {
        if self.is_on(
            "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
            "ignore_configured_endpoint_urls",
        ) {
            return None;
        }
        let own = format!("AWS_ENDPOINT_URL_{}", service.to_ascii_uppercase());
        let of_services = || {
            let services = self.section("services", &self.of_profile("services")?)?;
            let url = services.get(&format!("{service}.endpoint_url"))?;
            Some(url.to_string())
        };
        self.variable(&own)
            .or_else(|| self.variable("AWS_ENDPOINT_URL"))
            .or_else(of_services)
            .or_else(|| self.of_profile("endpoint_url"))
    }

    /// Certificate authorities to believe.
    pub(super) async fn authorities(&self) -> Result<Vec<reqwest::Certificate>, Error> {
        let Some(path) = self.setting("AWS_CA_BUNDLE", "ca_bundle") else {
            return Ok(Vec::new());
        };
        let path = self.expand(&path);
        let wrong = |reason: String| Error::Setting {
            what: format!("the certificates of AWS_CA_BUNDLE in {}", path.display()),
            reason,
        };
        let pem = read(&path).await?;
        let pem = pem.ok_or_else(|| wrong("there is no such file".to_owned()))?;
        match reqwest::Certificate::from_pem_bundle(pem.as_bytes()) {
            Ok(certificates) if certificates.is_empty() => {
                Err(wrong("there is no certificate in it".to_owned()))
            }
            Ok(certificates) => Ok(certificates),
            Err(error) => Err(wrong(sealmark_http::innermost(&error))),
        }
    }

    /// The profiles that there are, for people.
    pub(super) fn profiles(&self) -> String {
        let names = self.sections.keys();
        let names: Vec<&str> = names.filter_map(|n| n.strip_prefix("profile ")).collect();
        match names.is_empty() {
            true => "none".to_owned(),
            false => names.join(", "),
        }
    }

    /// The files, for people.
    pub(super) fn places(&self) -> String {
        let shown = self.files.iter().map(|(path, there)| match there {
            true => path.display().to_string(),
            false => format!("{} (not there)", path.display()),
        });
        let shown: Vec<String> = shown.collect();
        match shown.is_empty() {
            true => "no file, as HOME is not set".to_owned(),
            false => shown.join(" and "),
        }
    }
}

/// A file's text; `None` if it is not there.
pub(super) async fn read(path: &Path) -> Result<Option<Zeroizing<String>>, Error> {
    use tokio::io::AsyncReadExt as _;
    let failed = |reason: String| Error::Setting {
        what: format!("the file {}", path.display()),
        reason,
    };
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error.to_string())),
    };
    let mut text = Zeroizing::new(String::new());
    let read = file.take(MAX_FILE + 1).read_to_string(&mut text).await;
    read.map_err(|error| failed(error.to_string()))?;
    if text.len() as u64 > MAX_FILE {
        return Err(failed(format!("it is larger than {MAX_FILE} bytes")));
    }
    Ok(Some(text))
}

/// The sections of a file. What is not understood is passed over, as other programs' settings are.
fn parse(text: &str) -> Vec<(String, Section)> {
    let mut sections: Vec<(String, Section)> = Vec::new();
    let mut outer = String::new();
    for line in text.lines() {
        let indented = line.starts_with([' ', '\t']);
        let line = without_comment(line).trim();
        if let Some(name) = line.strip_prefix('[') {
            let name = name.split(']').next().unwrap_or_default();
            let name = name.replace(['"', '\''], "");
            let words: Vec<&str> = name.split_whitespace().collect();
            sections.push((words.join(" "), Section::new()));
            outer.clear();
            continue;
        }
        let (Some((_, section)), Some((key, value))) = (sections.last_mut(), line.split_once('='))
        else {
            continue;
        };
        let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
        if indented && !outer.is_empty() {
            section.insert(format!("{outer}.{key}"), Zeroizing::new(value.to_owned()));
            continue;
        }
        // What follows indented belongs to a name without a value of its own.
        outer = match value.is_empty() {
            true => key.clone(),
            false => String::new(),
        };
        section.insert(key, Zeroizing::new(value.to_owned()));
    }
    sections
}

/// Comments begin a line, or follow a space.
fn without_comment(line: &str) -> &str {
    if line.trim_start().starts_with(['#', ';']) {
        return "";
    }
    let ends = [" #", " ;", "\t#", "\t;"];
    let end = ends.iter().filter_map(|mark| line.find(mark)).min();
    &line[..end.unwrap_or(line.len())]
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Settings out of variables and two texts.
    pub(in crate::aws) async fn config(
        variables: &[(&str, &str)],
        config: &str,
        credentials: &str,
    ) -> (tempfile::TempDir, Config) {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path().join(".aws");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("config"), config).unwrap();
        std::fs::write(folder.join("credentials"), credentials).unwrap();
        let mut all: BTreeMap<String, String> = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        all.insert("HOME".to_owned(), home.path().display().to_string());
        let environment: Environment = Arc::new(move |name| all.get(name).cloned());
        let loaded = Config::load(environment).await.unwrap();
        (home, loaded)
    }

    #[tokio::test]
    async fn settings_are_found_as_the_tools_of_aws_find_them() {
        let files = "[default]\nregion = eu-west-1 # here\n; a comment\n[profile \"work\"]\nREGION=us-west-2\nservices = local\nca_bundle = ~/ca.pem\n\
                     [services local]\nkms =\n  endpoint_url = http://localhost:1\nsts = \n\tendpoint_url = http://localhost:2\n[sso-session one]\nsso_region = us-east-1\n";
        let secrets =
            "[default]\naws_access_key_id = A#1\n[work]\naws_access_key_id = B\nregion = us-west-1";
        let (_home, plain) = config(&[], files, secrets).await;
        assert_eq!(plain.region().as_deref(), Some("eu-west-1"));
        assert_eq!(
            plain.of_profile("aws_access_key_id").as_deref(),
            Some("A#1")
        );
        assert_eq!(plain.endpoint("kms"), None);
        assert_eq!(plain.profiles(), "default, work");
        let (_home, work) = config(&[("AWS_PROFILE", "work")], files, secrets).await;
        assert_eq!(work.region().as_deref(), Some("us-west-1"));
        assert_eq!(work.endpoint("kms").as_deref(), Some("http://localhost:1"));
        assert_eq!(work.endpoint("sts").as_deref(), Some("http://localhost:2"));
        assert_eq!(work.endpoint("sso"), None);
        assert_eq!(
            &*work.section("sso-session", "one").unwrap()["sso_region"],
            "us-east-1"
        );
        let variables = [
            ("AWS_PROFILE", "work"),
            ("AWS_REGION", "cn-north-1"),
            ("AWS_ENDPOINT_URL", "http://localhost:3"),
            ("AWS_ENDPOINT_URL_STS", "http://localhost:4"),
        ];
        let (_home, set) = config(&variables, files, secrets).await;
        assert_eq!(set.region().as_deref(), Some("cn-north-1"));
        assert_eq!(set.endpoint("kms").as_deref(), Some("http://localhost:3"));
        assert_eq!(set.endpoint("sts").as_deref(), Some("http://localhost:4"));
        let ignore = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true");
        let (_home, none) =
            config(&[variables.as_slice(), &[ignore]].concat(), files, secrets).await;
        assert_eq!(none.endpoint("kms"), None);
    }
}
