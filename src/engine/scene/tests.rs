//! Do the lookups find what they are to find, where no refusal can be caused on this machine?
