//! How a tree of a Rekor v1 grew: proofs of consistency, and roots of the past that they prove.

use sealmark_tlog::Hash;
use sealmark_tlog::merkle::{root_of_beginning, verify_consistency};

use super::{Client, Shard};
use crate::Error;

/// A proof that a tree of one size is the beginning of a larger one, checked.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Growth {
    /// Root of the smaller tree.
    pub first_root: Hash,
    /// Root of the larger tree.
    pub last_root: Hash,
    /// The proof.
    pub hashes: Vec<Hash>,
}

impl Client {
    /// Checks that a tree with one size and root is the beginning of the tree of `shard`.
    ///
    /// # Errors
    /// Of the network; [`Error::Unproven`] if it is not.
    pub async fn verify_growth(
        &self,
        tree: u64,
        (first, first_root): (u64, &Hash),
        (last, last_root): (u64, &Hash),
    ) -> Result<(), Error> {
        let what = format!("the growth of tree {tree} from {first} to {last} entries");
        if first == last {
            return match first_root == last_root {
                true => Ok(()),
                false => Err(self.unproven(
                    &what,
                    format!("two different trees of one size are signed, with the roots {first_root} and {last_root}: the log shows different people different entries"),
                )),
            };
        }
        // Every tree begins with the empty one.
        if first == 0 {
            return Ok(());
        }
        let hashes = self.claimed_growth(tree, first, last).await?;
        verify_consistency(first, last, first_root, last_root, &hashes)
            .map_err(|error| self.unproven(&what, error))
    }

    /// The proof that the tree of `shard` with `first` entries is the beginning of that with `last`, neither more than
    /// its checkpoint has, which proves both.
    ///
    /// # Errors
    /// As [`verify_growth`](Self::verify_growth).
    pub async fn growth(&self, shard: &Shard, first: u64, last: u64) -> Result<Growth, Error> {
        let what = format!(
            "the growth of tree {} from {first} to {last} entries",
            shard.tree
        );
        let first_root = self.root_at(shard, first).await?;
        let last_root = self.root_at(shard, last).await?;
        let hashes = self.claimed_growth(shard.tree, first, last).await?;
        verify_consistency(first, last, &first_root, &last_root, &hashes)
            .map_err(|error| self.unproven(&what, error))?;
        Ok(Growth {
            first_root,
            last_root,
            hashes,
        })
    }

    /// The root that the tree had with `size` entries, proven by the shard's checkpoint.
    async fn root_at(&self, shard: &Shard, size: u64) -> Result<Hash, Error> {
        let now = &shard.signed.checkpoint;
        if size == now.size {
            return Ok(now.root);
        }
        let what = format!("tree {} with {size} entries", shard.tree);
        if !size.is_power_of_two() {
            let hashes = self.claimed_growth(shard.tree, size, now.size).await?;
            return root_of_beginning(size, now.size, &now.root, &hashes)
                .map_err(|error| self.unproven(&what, error));
        }
        // Such a root is not part of the proof of growth. It is a sibling on the way from the next entry to the root.
        let next = self
            .get_by_index(shard.first_index.saturating_add(size))
            .await?;
        let proof = next
            .as_ref()
            .filter(|entry| entry.id.tree == Some(shard.tree))
            .and_then(|entry| entry.log_entry.inclusion_proof.as_ref())
            .filter(|proof| proof.log_index == size)
            .ok_or_else(|| self.unproven(&what, format!("entry {size} of the tree is missing")))?;
        let height = size.trailing_zeros() as usize;
        let inner =
            (u64::BITS - (size ^ proof.tree_size.saturating_sub(1)).leading_zeros()) as usize;
        let sibling = proof.hashes.get(height.min(inner));
        sibling
            .and_then(|bytes| Hash::try_from(bytes.as_slice()).ok())
            .ok_or_else(|| self.unproven(&what, "the inclusion proof is too short"))
    }
}
