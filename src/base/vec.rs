//! Vectors with an element for every client.

/// Appends an element. A full vector grows by an eighth, not to twice its size: the time that costs is as good as
/// constant still, and a hundred thousand clients do not pay for as many that never come.
pub fn push_sparingly<T>(vec: &mut Vec<T>, item: T) {
    const GROWTH_MIN: usize = 16;
    if vec.len() == vec.capacity() {
        vec.reserve_exact((vec.len() / 8).max(GROWTH_MIN));
    }
    vec.push(item);
}

#[cfg(test)]
mod tests {
    use super::push_sparingly;

    #[test]
    fn little_of_it_is_spare() {
        let mut vec = Vec::new();
        let mut grown = 0;
        for n in 0..100_000_u32 {
            let before = vec.capacity();
            push_sparingly(&mut vec, n);
            grown += u32::from(vec.capacity() != before);
            assert!(vec.capacity() <= vec.len() + (vec.len() / 8).max(16));
        }
        assert!(vec.iter().copied().eq(0..100_000), "all are there");
        assert!(grown < 100, "it grew {grown} times");
    }
}
