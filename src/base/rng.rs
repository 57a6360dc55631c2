//! stand-in
/// x
pub struct Rng(pub u64);
impl Rng {
/// x
pub fn next_u64(&mut self) -> u64 { self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407); self.0 ^ (self.0 >> 33) }
}
