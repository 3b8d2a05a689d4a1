//! ECDSA (FIPS 186-5, section 6.4), by RustCrypto's curves.

use core::ops::Add;

use ecdsa::elliptic_curve::array::ArraySize;
use ecdsa::elliptic_curve::sec1::{FromSec1Point, ModulusSize, ToSec1Point};
use ecdsa::elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytesSize};
use ecdsa::signature::hazmat::PrehashVerifier as _;
use ecdsa::{EcdsaCurve, Signature, VerifyingKey, der};
use sealmark_formats::Digest;

/// First byte of a point in uncompressed form (SEC 1, section 2.3.3), the only one that keys have here.
const UNCOMPRESSED: u8 = 4;

/// The point, if it is one of the curve and not the one at infinity.
pub(super) fn key<C>(raw: &[u8]) -> Option<VerifyingKey<C>>
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
{
    if raw.first() != Some(&UNCOMPRESSED) {
        return None;
    }
    VerifyingKey::from_sec1_bytes(raw).ok()
}

/// Checks a signature in strict DER. A digest longer than the curve's order is cut to its leftmost bits; `s` may be of
/// either half.
pub(super) fn verify<C>(raw: &[u8], digest: &Digest, signature: &[u8]) -> bool
where
    C: EcdsaCurve + CurveArithmetic,
    AffinePoint<C>: FromSec1Point<C> + ToSec1Point<C>,
    FieldBytesSize<C>: ModulusSize,
    der::MaxSize<C>: ArraySize,
    <FieldBytesSize<C> as Add>::Output: Add<der::MaxOverhead> + ArraySize,
{
    let (Some(key), Ok(signature)) = (key::<C>(raw), Signature::<C>::from_der(signature)) else {
        return false;
    };
    key.verify_prehash(digest.bytes(), &signature).is_ok()
}
