//! What does a person see in a browser? The same trace that the terminal shows, drawn.
//!
//! Reading order: [`run`] (the trace, as far as it is known), [`scene`] (a drawing as data), [`drawings`] (one file a
//! drawing: what of a stage's entry goes into it), [`layout`] (where it is put), [`site`] (every piece of the page
//! by its path).

pub mod assets;
pub mod drawings;
pub mod export;
pub mod layout;
pub mod names;
pub mod run;
pub mod scene;
pub mod site;
pub mod template;
