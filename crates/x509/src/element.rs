//! DER elements with their very bytes: for what is hashed or signed, a value that was read and written again is not
//! good enough.
//!
//! Reading is that of the `der` crate: definite and minimal lengths only. Here it is only remembered where an element
//! was.

use der::{Decode, Header, Reader, SliceReader, Tag, TagNumber};

/// One element: tag, length and content.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Element<'a> {
    pub(crate) tag: Tag,
    pub(crate) content: &'a [u8],
    /// All of it, with tag and length.
    pub(crate) der: &'a [u8],
}

impl<'a> Element<'a> {
    /// The element that is all of `bytes`.
    pub(crate) fn only(bytes: &'a [u8]) -> der::Result<Self> {
        let mut elements = Elements::new(bytes)?;
        let element = elements.next()?;
        elements.finish()?;
        Ok(element)
    }

    /// The elements inside.
    pub(crate) fn elements(&self) -> der::Result<Elements<'a>> {
        Elements::new(self.content)
    }

    /// This element as a value of the `der` crate.
    pub(crate) fn decode<T: Decode<'a, Error = der::Error>>(&self) -> der::Result<T> {
        T::from_der(self.der)
    }
}

/// A row of elements, read one by one.
pub(crate) struct Elements<'a> {
    bytes: &'a [u8],
    reader: SliceReader<'a>,
}

impl<'a> Elements<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> der::Result<Self> {
        Ok(Self {
            bytes,
            reader: SliceReader::new(bytes)?,
        })
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.reader.is_finished()
    }

    /// The next element; an error if there is none.
    pub(crate) fn next(&mut self) -> der::Result<Element<'a>> {
        let start = usize::try_from(self.reader.position())?;
        let header = Header::decode(&mut self.reader)?;
        let content = self.reader.read_slice(header.length())?;
        let end = usize::try_from(self.reader.position())?;
        Ok(Element {
            tag: header.tag(),
            content,
            der: &self.bytes[start..end],
        })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: Tag) -> der::Result<Element<'a>> {
        let element = self.next()?;
        element.tag.assert_eq(tag)?;
        Ok(element)
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: Tag) -> der::Result<Option<Element<'a>>> {
        if self.is_finished() || Tag::peek(&self.reader)? != tag {
            return Ok(None);
        }
        self.next().map(Some)
    }

    /// An error if there is anything left.
    pub(crate) fn finish(self) -> der::Result<()> {
        self.reader.finish()
    }
}

/// The tag `[number]` of something constructed.
pub(crate) const fn constructed(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: true,
        number: TagNumber(number),
    }
}

/// The tag `[number]` of something primitive.
pub(crate) const fn primitive(number: u32) -> Tag {
    Tag::ContextSpecific {
        constructed: false,
        number: TagNumber(number),
    }
}

/// An element of these contents.
pub(crate) fn encode(tag: Tag, content: &[u8]) -> der::Result<Vec<u8>> {
    use der::Encode;
    let mut bytes = Header::new(tag, content.len().try_into()?).to_der()?;
    bytes.extend_from_slice(content);
    Ok(bytes)
}
