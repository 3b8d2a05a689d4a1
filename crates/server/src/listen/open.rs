//! The open connections, counted by whose they are.
//!
//! Invariant: an address is in the table as long as it has a connection, so that the table is no larger than there are
//! connections.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many are open.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<HashMap<IpAddr, usize>>);

impl Connections {
    /// All of them.
    pub(crate) fn count(&self) -> usize {
        self.table().values().sum()
    }

    /// One more from an address, if it has fewer than `most`.
    pub(super) fn add(self: &Arc<Self>, from: IpAddr, most: usize) -> Option<Open> {
        let mut table = self.table();
        let count = table.get(&from).copied().unwrap_or(0);
        (count < most).then(|| {
            table.insert(from, count + 1);
            Open {
                from,
                connections: self.clone(),
            }
        })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that counts as open while the value exists.
pub(super) struct Open {
    from: IpAddr,
    connections: Arc<Connections>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut table = self.connections.table();
        match table.get_mut(&self.from) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(table.remove(&self.from)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_has_no_more_than_its_share() {
        let connections = Arc::new(Connections::default());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        let mut open: Vec<_> = (0..2).map(|_| connections.add(one, 2).unwrap()).collect();
        assert!(connections.add(one, 2).is_none());
        open.push(connections.add(other, 2).unwrap());
        assert_eq!(connections.count(), 3);
        open.remove(0);
        open.push(connections.add(one, 2).unwrap());
        open.clear();
        assert!(connections.table().is_empty());
    }
}
