//! What the fuzz targets reach of this module's parsers; see `fuzz/`.

use std::path::Path;

use super::{HUB_KEY, config};
use crate::reference::DOCKER_HUB;

/// Reads a configuration file and looks for some registries in it; whether it could be read. Errors go to `told`.
pub fn docker_config(content: &[u8], told: &mut dyn FnMut(String)) -> bool {
    let path = Path::new("config.json");
    let config = match config::Config::parse("registry.example", path, content) {
        Ok(config) => config,
        Err(error) => {
            told(error.to_string());
            return false;
        }
    };
    for registry in [DOCKER_HUB, "registry.example", "localhost:5000"] {
        for key in [registry, HUB_KEY, "registry.example/team"] {
            if let Err(error) = config.entry(registry, key) {
                told(error.to_string());
            }
        }
        assert_ne!(config.helper(registry), Some(""));
    }
    true
}
