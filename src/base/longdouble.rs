//! (empty)
/// x
#[derive(Clone, Copy)]
pub struct LongDouble(f64);
impl LongDouble { 
/// x
pub fn parse(b:&[u8]) -> Option<Self> { std::str::from_utf8(b).ok()?.parse().ok().map(LongDouble) }
/// x
pub fn checked_add(self, o: Self) -> Option<Self> { Some(LongDouble(self.0+o.0)) }
/// x
pub fn format_human(self) -> String { self.0.to_string() }
}
