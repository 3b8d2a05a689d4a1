//! `TSTInfo`: what an authority says (RFC 3161, section 2.4.2).

use der::Tag;
use der::asn1::ObjectIdentifier;
use sealmark_formats::Digest;

use super::TimestampError;
use super::cms::hash_algorithm;
use crate::element::{Element, Elements, constructed};

/// A serial number has at most 160 bits by RFC 3161; authorities that use more are let pass up to this, in bytes.
const MAX_NUMBER: usize = 64;

#[derive(Clone, Debug)]
pub(super) struct TstInfo {
    pub(super) policy: String,
    pub(super) imprint: Digest,
    pub(super) serial: Vec<u8>,
    pub(super) unix_seconds: u64,
    pub(super) nanoseconds: u32,
    pub(super) nonce: Option<Vec<u8>>,
}

impl TstInfo {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, TimestampError> {
        let malformed = |error: der::Error| TimestampError::malformed("TSTInfo", error);
        let outer = Element::only(bytes).map_err(malformed)?;
        if outer.tag != Tag::Sequence {
            return Err(TimestampError::malformed("TSTInfo", "it is no SEQUENCE"));
        }
        let mut fields = outer.elements().map_err(malformed)?;
        let version: u8 = decode(&mut fields)?;
        if version != 1 {
            return Err(TimestampError::malformed(
                "TSTInfo",
                format_args!("its version is {version}, and only 1 is known"),
            ));
        }
        let policy: ObjectIdentifier = decode(&mut fields)?;
        let imprint = imprint(&fields.expect(Tag::Sequence).map_err(malformed)?)?;
        let serial = number(fields.expect(Tag::Integer).map_err(malformed)?)?;
        let time = fields.expect(Tag::GeneralizedTime).map_err(malformed)?;
        let (unix_seconds, nanoseconds) = generalized_time(time.content)
            .map_err(|error| TimestampError::malformed("time", error))?;
        fields.optional(Tag::Sequence).map_err(malformed)?; // accuracy
        fields.optional(Tag::Boolean).map_err(malformed)?; // ordering
        let nonce = fields.optional(Tag::Integer).map_err(malformed)?;
        fields.optional(constructed(0)).map_err(malformed)?; // tsa
        let extensions = fields.optional(constructed(1)).map_err(malformed)?;
        fields.finish().map_err(malformed)?;
        refuse_critical(extensions)?;
        Ok(Self {
            policy: policy.to_string(),
            imprint,
            serial,
            unix_seconds,
            nanoseconds,
            nonce: nonce.map(number).transpose()?,
        })
    }
}

fn decode<'a, T: der::Decode<'a, Error = der::Error>>(
    fields: &mut Elements<'a>,
) -> Result<T, TimestampError> {
    fields
        .next()
        .and_then(|it| it.decode())
        .map_err(|error| TimestampError::malformed("TSTInfo", error))
}

fn number(element: Element<'_>) -> Result<Vec<u8>, TimestampError> {
    if element.content.is_empty() || element.content.len() > MAX_NUMBER {
        return Err(TimestampError::malformed(
            "TSTInfo",
            format_args!("a number has {} bytes", element.content.len()),
        ));
    }
    Ok(element.content.to_vec())
}

/// `MessageImprint`.
fn imprint(element: &Element<'_>) -> Result<Digest, TimestampError> {
    const PART: &str = "message imprint";
    let malformed = |error: der::Error| TimestampError::malformed(PART, error);
    let mut fields = element.elements().map_err(malformed)?;
    let algorithm = hash_algorithm(PART, &fields.next().map_err(malformed)?)?;
    let digest = fields.expect(Tag::OctetString).map_err(malformed)?;
    fields.finish().map_err(malformed)?;
    Digest::from_bytes(algorithm, digest.content).ok_or_else(|| {
        TimestampError::malformed(
            PART,
            format_args!("a {algorithm} digest has {} bytes", digest.content.len()),
        )
    })
}

/// No extension is known, so a critical one means something that would be missed.
fn refuse_critical(extensions: Option<Element<'_>>) -> Result<(), TimestampError> {
    let Some(extensions) = extensions else {
        return Ok(());
    };
    let malformed = |error: der::Error| TimestampError::malformed("extension", error);
    let mut each = extensions.elements().map_err(malformed)?;
    while !each.is_finished() {
        let extension = each.expect(Tag::Sequence).map_err(malformed)?;
        let mut fields = extension.elements().map_err(malformed)?;
        let oid: ObjectIdentifier = fields
            .next()
            .and_then(|it| it.decode())
            .map_err(malformed)?;
        if let Some(critical) = fields.optional(Tag::Boolean).map_err(malformed)?
            && critical.content != [0]
        {
            return Err(TimestampError::malformed(
                "extension",
                format_args!("{oid} is critical and not known"),
            ));
        }
    }
    Ok(())
}

/// `YYYYMMDDhhmmss[.s…]Z`: seconds since 1970, and nanoseconds; finer digits are cut off.
fn generalized_time(text: &[u8]) -> Result<(u64, u32), &'static str> {
    const SHAPE: &str = "it is not YYYYMMDDhhmmss[.s]Z";
    let digits = |range: core::ops::Range<usize>| {
        let part = text.get(range).ok_or(SHAPE)?;
        part.iter().try_fold(0_u16, |number, byte| {
            let digit = byte.is_ascii_digit().then(|| u16::from(byte - b'0'));
            Ok(number * 10 + digit.ok_or(SHAPE)?)
        })
    };
    // Two digits always fit in a byte.
    let two = |at: usize| digits(at..at + 2).map(|number| number.to_le_bytes()[0]);
    let time = der::DateTime::new(digits(0..4)?, two(4)?, two(6)?, two(8)?, two(10)?, two(12)?)
        .map_err(|_| "there is no such time after 1970")?;
    let rest = text[14..].strip_suffix(b"Z").ok_or(SHAPE)?;
    let nanoseconds = match rest.split_first() {
        None => 0,
        Some((b'.', fraction)) if !fraction.is_empty() => {
            if !fraction.iter().all(u8::is_ascii_digit) {
                return Err(SHAPE);
            }
            let nine = fraction.iter().chain(core::iter::repeat(&b'0')).take(9);
            nine.fold(0, |number, byte| number * 10 + u32::from(byte - b'0'))
        }
        Some(_) => return Err(SHAPE),
    };
    Ok((time.unix_duration().as_secs(), nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::generalized_time;

    #[test]
    fn times_are_in_utc_to_the_second_or_finer() {
        let table: [(&str, Option<(u64, u32)>); 13] = [
            ("20250612120220Z", Some((1_749_729_740, 0))),
            ("20250612120220.5Z", Some((1_749_729_740, 500_000_000))),
            ("20250612120220.000001Z", Some((1_749_729_740, 1_000))),
            (
                "20250612120220.1234567899Z",
                Some((1_749_729_740, 123_456_789)),
            ),
            ("20250612120220", None),
            ("20250612120220.Z", None),
            ("20250612120220.5", None),
            ("20250612120220,5Z", None),
            ("20250612120220+0000", None),
            ("202506121202Z", None),
            ("20250632120220Z", None),
            ("19691231235959Z", None),
            ("", None),
        ];
        for (text, expected) in table {
            assert_eq!(generalized_time(text.as_bytes()).ok(), expected, "{text}");
        }
    }
}
