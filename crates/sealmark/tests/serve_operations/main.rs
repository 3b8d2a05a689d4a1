//! `serve` as its operator sees it: encryption, logs, metrics, limits, the end.

#[path = "../bench/mod.rs"]
mod bench;
mod health;
mod limits;
mod logs;
mod metrics;
mod serving;
mod shutdown;
mod tls;
