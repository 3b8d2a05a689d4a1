//! A client of transparency logs: Rekor v1, Rekor v2, and tiles.
