//! What PFSELFTEST does: both encodings filled with the same elements, compared with one another and
//! with the truth.

use super::element::Element;
use super::{EMPTY, HyperLogLog, REGISTERS, add, add_dense, dense};
use crate::base::rng::Rng;

/// How often registers are filled with random values.
const FILLINGS: usize = 1000;

/// Tests registers and estimates with up to this many elements; says what went wrong.
pub fn self_test(rng: &mut Rng, elements: u64, sparse_bytes_max: usize) -> Result<(), String> {
    for _ in 0..FILLINGS {
        registers_keep_their_values(rng)?;
    }
    let seed = rng.next_u64();
    let mut dense = known(&EMPTY).to_dense().expect("well-formed");
    let mut sparse = EMPTY.to_vec();
    let mut checkpoint = 1;
    for n in 1..=elements {
        let element = Element::of(&(n ^ seed).to_le_bytes());
        add_dense(&mut dense, element);
        add(&mut sparse, element, sparse_bytes_max).expect("well-formed");
        if n == checkpoint {
            checkpoint *= 10;
            if n < sparse_bytes_max as u64 / 2 && known(&sparse).is_dense() {
                return Err("TESTFAILED sparse encoding not used".into());
            }
            estimates_are_right(n, known(&dense), known(&sparse))?;
        }
    }
    Ok(())
}

fn registers_keep_their_values(rng: &mut Rng) -> Result<(), String> {
    let mut packed = [0; dense::BYTES];
    let mut values = [0u8; REGISTERS];
    for eight in values.as_chunks_mut::<8>().0 {
        *eight = (rng.next_u64() & 0x3f3f_3f3f_3f3f_3f3f).to_le_bytes();
    }
    for (register, &rank) in values.iter().enumerate() {
        dense::set(&mut packed, Element { register, rank });
    }
    for (register, &value) in values.iter().enumerate() {
        let kept = dense::get(&packed, register);
        if kept != value {
            return Err(format!(
                "TESTFAILED Register {register} should be {value} but is {kept}"
            ));
        }
    }
    Ok(())
}

/// Fails beyond six times the standard error.
fn estimates_are_right(
    n: u64,
    dense: HyperLogLog<'_>,
    sparse: HyperLogLog<'_>,
) -> Result<(), String> {
    let count = dense
        .count()
        .expect("dense registers are always well-formed");
    if sparse.count() != Ok(count) {
        return Err("TESTFAILED dense/sparse disagree".into());
    }
    let standard_error = 1.04 / (REGISTERS as f64).sqrt();
    let allowed = match n {
        // Two of ten elements may well share a register.
        10 => 1,
        _ => (standard_error * 6.0 * n as f64).ceil() as u64,
    };
    let error = count.abs_diff(n);
    if error > allowed {
        return Err(format!("TESTFAILED Too big error. card:{n} abserr:{error}"));
    }
    Ok(())
}

fn known(string: &[u8]) -> HyperLogLog<'_> {
    HyperLogLog::parse(string).expect("made here")
}
