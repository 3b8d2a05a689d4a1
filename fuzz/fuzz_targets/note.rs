//! Signed notes: a note is exactly what is written when it is displayed.
#![no_main]

use sealmark_tlog::{Note, NoteSignature};

sealmark_fuzz::target!([], |data| {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    if let Ok(line) = NoteSignature::parse(text) {
        sealmark_fuzz::same(&line, NoteSignature::parse(&line.to_string()));
    }
    let Some(note) = sealmark_fuzz::read(Note::parse(text)) else {
        return false;
    };
    sealmark_fuzz::same(&note, Note::parse(&note.to_string()));
    true
});
