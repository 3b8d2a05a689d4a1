//! Through an air gap.
