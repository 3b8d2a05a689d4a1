//! Keyrings: keys with what belongs to them (RFC 4880, section 11.1), as Go's `openpgp.ReadKeyRing` reads them and
//! `Entity.Serialize` writes them.
//!
//! Invariant: identities are signed by their key, and subkeys bound by it. Go writes the identities of a key in random
//! order; here they are in the order of the file, which is one of those that Go may write.

use super::armor::{self, Block};
use super::check::{Checks, Claim};
use super::key::Key;
use super::packet::{Packet, Packets, TAG_USER_ID, write_header};
use super::signature::{
    GENERIC_CERTIFICATION, KEY_REVOCATION, POSITIVE_CERTIFICATION, SUBKEY_BINDING,
    SUBKEY_REVOCATION, Signature,
};
use super::{Dialect, Fault, MAX_FILE, malformed, user_id};
use crate::Error;

/// Public keys, with identities and subkeys.
#[derive(Clone, Debug)]
pub struct KeyRing {
    entities: Vec<Entity>,
}

#[derive(Clone, Debug)]
struct Entity {
    primary: Key,
    identities: Vec<Identity>,
    revoked: bool,
    subkeys: Vec<Subkey>,
}

#[derive(Clone, Debug)]
struct Identity {
    id: Vec<u8>,
    self_signature: Signature,
    others: Vec<Signature>,
}

#[derive(Clone, Debug)]
struct Subkey {
    key: Key,
    signature: Signature,
}

impl KeyRing {
    /// Reads a keyring, armored or not; a file may have several armored blocks, and text between them.
    ///
    /// # Errors
    /// If there is no key in it; if it is larger than [`MAX_FILE`]; or if what Rekor would make of it cannot be checked
    /// here.
    pub fn parse(file: &[u8]) -> Result<Self, Error> {
        if file.len() > MAX_FILE {
            return Err(Error::NotSupported(format!(
                "OpenPGP keyrings of more than {} KiB",
                MAX_FILE >> 10
            )));
        }
        let blocks = match file.starts_with(b"-----BEGIN PGP") {
            true => blocks(file)?,
            false => vec![file.to_vec()],
        };
        let read = |dialect| -> Result<Vec<Entity>, Fault> {
            let (mut entities, mut checks) = (Vec::new(), Checks::default());
            for block in &blocks {
                entities.extend(read_block(block, dialect, &mut checks)?);
            }
            Ok(entities)
        };
        let entities = read(Dialect::Go).or_else(|fault| match fault {
            Fault::Unsupported(_) => read(Dialect::Curve25519),
            other => Err(other),
        });
        let entities = entities.map_err(Fault::error)?;
        match entities.is_empty() {
            true => Err(malformed("OpenPGP key", "there is no key in it")),
            false => Ok(Self { entities }),
        }
    }

    /// The canonical form.
    pub fn to_armor(&self) -> String {
        let mut bytes = Vec::new();
        for entity in &self.entities {
            entity.write(&mut bytes);
        }
        armor::encode(armor::PUBLIC_KEY, &bytes)
    }

    /// The mail addresses in the identities, as they are written there.
    pub fn emails(&self) -> Vec<String> {
        let identities = self.entities.iter().flat_map(|entity| &entity.identities);
        identities
            .filter_map(|identity| user_id::email(&identity.id))
            .collect()
    }

    /// Checks the first of these signatures that names a key which may sign.
    pub(super) fn check(&self, packets: &[Packet], data: &[u8]) -> Result<(), Error> {
        for packet in packets {
            let (issuer, claim) = match packet {
                Packet::Signature(signature) => {
                    let issuer = signature.issuer.ok_or_else(|| {
                        malformed("OpenPGP signature", "it does not say which key made it")
                    })?;
                    (issuer, Claim::of(signature))
                }
                Packet::SignatureV3(signature) => (signature.issuer, Claim::of_v3(signature)),
                _ => {
                    return Err(malformed(
                        "OpenPGP signature",
                        "there is something else in it",
                    ));
                }
            };
            let mut keys = self.signing_keys(issuer).peekable();
            if keys.peek().is_none() {
                continue;
            }
            let say = |fault| match fault {
                Fault::Structural(Error::Malformed { reason, .. }) => Error::NotSigned(reason),
                other => Fault::error(other),
            };
            // Once, however many keys of this id there are.
            let hashed = claim.hash_file(data).map_err(say)?;
            let mut first = None;
            for key in keys {
                match claim.check(key, &hashed) {
                    Ok(()) => return Ok(()),
                    Err(fault) => first = first.or(Some(fault)),
                }
            }
            if let Some(fault) = first {
                return Err(say(fault));
            }
        }
        Err(Error::NotSigned(
            "it is by none of these keys, or by one that is revoked or not for signing".to_owned(),
        ))
    }

    /// Go's `KeysByIdUsage`.
    fn signing_keys(&self, id: u64) -> impl Iterator<Item = &Key> {
        let entities = self.entities.iter().filter(|entity| !entity.revoked);
        let keys = entities.flat_map(move |entity| {
            let primary = entity.primary_identity();
            let primary = primary.map(|identity| (&entity.primary, &identity.self_signature));
            let subkeys = entity.subkeys.iter();
            let subkeys = subkeys.map(|subkey| (&subkey.key, &subkey.signature));
            primary.into_iter().chain(subkeys)
        });
        keys.filter(move |(key, signature)| {
            key.id == id
                && !signature.revokes
                && signature.kind != SUBKEY_REVOCATION
                && signature.lets_sign().unwrap_or(true)
        })
        .map(|(key, _)| key)
    }
}

/// The contents of the armored blocks.
fn blocks(file: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
    let (mut blocks, mut pending, mut rest) = (Vec::new(), Vec::new(), file);
    while let Some((line, after)) = armor::take_line(rest) {
        rest = after;
        pending.extend_from_slice(line);
        pending.push(b'\n');
        if !line.starts_with(b"-----END PGP") {
            continue;
        }
        let block = Block::find(&pending)
            .ok_or_else(|| malformed("OpenPGP key", "the armor has no beginning"))?;
        if block.kind == armor::PRIVATE_KEY.as_bytes() {
            return Err(Error::NotSupported(
                "private keys; send the public key alone: gpg --export --armor".to_owned(),
            ));
        }
        if block.kind != armor::PUBLIC_KEY.as_bytes() {
            return Err(malformed("OpenPGP key", "the armor is of something else"));
        }
        blocks.push(block.bytes()?);
        pending.clear();
    }
    match blocks.is_empty() {
        true => Err(malformed("OpenPGP key", "there is no whole armored block")),
        false => Ok(blocks),
    }
}

/// `ReadKeyRing`
fn read_block(block: &[u8], dialect: Dialect, checks: &mut Checks) -> Result<Vec<Entity>, Fault> {
    let mut packets = Packets::of(block, dialect);
    let (mut entities, mut last) = (Vec::new(), None);
    loop {
        match Entity::read(&mut packets, checks) {
            Ok(Some(entity)) => entities.push(entity),
            Ok(None) => break,
            Err(fault @ Fault::Fatal(_)) => return Err(fault),
            Err(fault) => {
                last = Some(fault);
                if !skip_to_key(&mut packets)? {
                    break;
                }
            }
        }
    }
    match last {
        // Also where Go says of a later key that it is wrong: another dialect may still read the first.
        Some(fault) if entities.is_empty() => Err(Fault::Unsupported(fault.error())),
        _ => Ok(entities),
    }
}

/// `readToNextPublicKey`; whether there is one.
fn skip_to_key(packets: &mut Packets<'_>) -> Result<bool, Fault> {
    loop {
        match packets.next() {
            Ok(None) => return Ok(false),
            Ok(Some(Packet::Key(key))) if !key.is_subkey => {
                packets.unread(Packet::Key(key));
                return Ok(true);
            }
            Ok(Some(_)) | Err(Fault::Unsupported(_)) => {}
            Err(fault) => return Err(Fault::Fatal(fault.error())),
        }
    }
}

impl Entity {
    /// `ReadEntity`; `None` at the end.
    fn read(packets: &mut Packets<'_>, checks: &mut Checks) -> Result<Option<Self>, Fault> {
        let primary = match packets.next()? {
            None => return Ok(None),
            Some(Packet::Key(key)) => key,
            Some(other) => {
                packets.unread(other);
                return Err(Fault::structural("it does not begin with a key"));
            }
        };
        if !primary.can_sign() {
            return Err(Fault::structural("the primary key cannot sign"));
        }
        let mut entity = Self {
            primary,
            identities: Vec::new(),
            revoked: false,
            subkeys: Vec::new(),
        };
        let mut revocations = Vec::new();
        while let Some(packet) = packets.next()? {
            match packet {
                Packet::UserId(id) => entity.add_identity(id, packets, checks)?,
                Packet::Signature(signature) if signature.kind == KEY_REVOCATION => {
                    revocations.push(signature);
                }
                Packet::Key(key) if key.is_subkey => entity.add_subkey(key, packets, checks)?,
                key @ Packet::Key(_) => {
                    packets.unread(key);
                    break;
                }
                _ => {}
            }
        }
        if entity.identities.is_empty() {
            return Err(Fault::structural("a key has no identity that it signed"));
        }
        for revocation in revocations {
            let hashed = entity.primary.hashed();
            checks.binds(&entity.primary, &[&hashed], &revocation)?;
            entity.revoked = true;
        }
        Ok(Some(entity))
    }

    /// `addUserID`
    fn add_identity(
        &mut self,
        id: Vec<u8>,
        packets: &mut Packets<'_>,
        checks: &mut Checks,
    ) -> Result<(), Fault> {
        let (mut by_self, mut others) = (None, Vec::new());
        while let Some(packet) = packets.next()? {
            let Packet::Signature(signature) = packet else {
                packets.unread(packet);
                break;
            };
            let certifies = matches!(
                signature.kind,
                GENERIC_CERTIFICATION | POSITIVE_CERTIFICATION
            );
            if !certifies || signature.issuer != Some(self.primary.id) {
                others.push(*signature);
                continue;
            }
            // Section 5.2.4. Files are far shorter than 4 GiB.
            let length = (id.len() as u32).to_be_bytes();
            let key = self.primary.hashed();
            checks.binds(&self.primary, &[&key, &[0xb4], &length, &id], &signature)?;
            by_self = Some(*signature);
        }
        let Some(self_signature) = by_self else {
            return Ok(());
        };
        let identity = Identity {
            id,
            self_signature,
            others,
        };
        // The last of those with one name, as in Go's map.
        let known = self.identities.iter_mut();
        match known.into_iter().find(|known| known.id == identity.id) {
            Some(known) => *known = identity,
            None => self.identities.push(identity),
        }
        Ok(())
    }

    /// `addSubkey`
    fn add_subkey(
        &mut self,
        key: Key,
        packets: &mut Packets<'_>,
        checks: &mut Checks,
    ) -> Result<(), Fault> {
        let mut bound: Option<Signature> = None;
        loop {
            let packet = match packets.next() {
                Ok(None) => break,
                Ok(Some(packet)) => packet,
                Err(Fault::Unsupported(error)) => return Err(Fault::Structural(error)),
                Err(other) => return Err(other),
            };
            let Packet::Signature(signature) = packet else {
                packets.unread(packet);
                break;
            };
            if !matches!(signature.kind, SUBKEY_BINDING | SUBKEY_REVOCATION) {
                return Err(Fault::structural(
                    "a subkey has a signature of a wrong type",
                ));
            }
            let (primary, subkey) = (self.primary.hashed(), key.hashed());
            checks.binds(&self.primary, &[&primary, &subkey], &signature)?;
            if signature.lets_sign() == Some(true) {
                let cross = signature.embedded.as_deref().ok_or_else(|| {
                    Fault::structural("a subkey that signs has not signed its primary key")
                })?;
                checks.binds(&key, &[&primary, &subkey], cross)?;
            }
            let replaces = match &bound {
                None => true,
                Some(_) if signature.kind == SUBKEY_REVOCATION => true,
                Some(old) => old.kind != SUBKEY_REVOCATION && signature.created > old.created,
            };
            if replaces {
                bound = Some(*signature);
            }
        }
        let signature =
            bound.ok_or_else(|| Fault::structural("a subkey is not bound to its primary key"))?;
        self.subkeys.push(Subkey { key, signature });
        Ok(())
    }

    /// The one that says it is, or the first.
    fn primary_identity(&self) -> Option<&Identity> {
        let mut identities = self.identities.iter();
        identities
            .find(|identity| identity.self_signature.is_primary_id == Some(true))
            .or_else(|| self.identities.first())
    }

    /// `Serialize`
    fn write(&self, to: &mut Vec<u8>) {
        self.primary.write(to);
        for identity in &self.identities {
            write_header(TAG_USER_ID, identity.id.len(), to);
            to.extend_from_slice(&identity.id);
            identity.self_signature.write(to);
            identity.others.iter().for_each(|other| other.write(to));
        }
        for subkey in &self.subkeys {
            subkey.key.write(to);
            subkey.signature.write(to);
        }
    }
}
