//! Verification, seals, proofs and witnesses, on trails that a bus and a journal leave.

mod export;
mod live;
mod random;
mod rig;
mod rotation;
mod seal;
mod tamper;
mod verify;
mod witness;
