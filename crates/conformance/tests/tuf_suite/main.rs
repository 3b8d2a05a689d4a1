//! What a TUF client must do, played through the command line that the public suite drives, against repositories that
//! are made here. Where it is there, the reference client goes through the same, and must come to the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod delegations;
mod faults;
mod keys;
mod names;
mod processes;
mod repository;
mod roots;
mod rotations;
mod story;
mod top_level;
mod written;

/// A name, and what happens.
type Case = (&'static str, fn(&mut story::Story));

/// Plays the cases of a table, each from the start.
fn play(cases: &[Case]) {
    for (name, case) in cases {
        println!("case: {name}");
        case(&mut story::Story::new());
    }
}
