//! A fuzzer for what reads bytes from anywhere: `cjson.decode`, `cmsgpack.unpack` and its kin, `struct.unpack`.
//!
//! Inputs come from the formats' grammar, then some damage. Nothing may panic or hang, and what is accepted must
//! be safe to use: it is encoded again, and the result decoded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use mlua::{Function, Lua};

use super::install;
use crate::base::fuzzing;

/// Runs for `CINNABAR_FUZZ_SECONDS` (600) from `CINNABAR_FUZZ_SEED` (the clock):
/// `cargo test --lib fuzz_script_libraries -- --ignored --nocapture`.
#[test]
#[ignore = "runs for minutes"]
fn fuzz_script_libraries_for_minutes() {
    let (seed, end) = fuzzing::plan();
    let (runs, accepted) = fuzz(seed, |runs| runs % 256 != 0 || Instant::now() < end);
    println!("{runs} runs, {accepted} accepted");
}

#[test]
fn fuzzes_a_little() {
    let (_, accepted) = fuzz(1, |runs| runs < 3000);
    assert!(
        (300..2700).contains(&accepted),
        "{accepted} of 3000 accepted: the fuzzer is blind on one side"
    );
}

/// Takes what a fuzzer made and says whether it was accepted. What was decoded, other than NaN, encodes to the
/// same after another round.
const DRIVER: &str = r#"
local json, strict = cjson.new(), cjson.new()
json.encode_invalid_numbers(true)
json.encode_sparse_array(true)
json.encode_max_depth(100000)
json.decode_max_depth(100000)
strict.decode_invalid_numbers(false)
local function decode(text)
  local ok = pcall(strict.decode, text)
  local decoded, value = pcall(json.decode, text)
  assert(decoded or not ok)
  if not decoded then return false end
  local encoded = json.encode(value)
  assert(json.encode(json.decode(encoded)):len() == encoded:len() or encoded:find('[eEn]'))
  pcall(cmsgpack.pack, value)
  return true
end
local function unpack_all(bytes, offset)
  local values = {pcall(function() return #{cmsgpack.unpack(bytes)} end)}
  pcall(cmsgpack.unpack_one, bytes, offset)
  pcall(function() return #{cmsgpack.unpack_limit(bytes, 3, offset)} end)
  if not values[1] then return false end
  local ok, next, value = pcall(cmsgpack.unpack_one, bytes)
  if ok then
    local packed = cmsgpack.pack(value)
    -- What lies too deep is packed as nil, which is no key.
    local whole, again = pcall(cmsgpack.unpack, packed)
    assert(not whole or type(again) == type(value) or type(value) == 'userdata')
    pcall(json.encode, value)
  end
  return true
end
local function unpack_struct(format, bytes, offset)
  pcall(struct.size, format)
  pcall(struct.pack, format, 1, -1, 'ab', 2 ^ 63, 'c', -2 ^ 64, 0, 0, 0)
  pcall(struct.unpack, format, bytes, offset)
  return (pcall(function() return #{struct.unpack(format, bytes)} end))
end
return function(kind, a, b, offset)
  if kind == 0 then return decode(a) end
  if kind == 1 then return unpack_all(a, offset) end
  return unpack_struct(a, b, offset)
end
"#;

fn fuzz(seed: u64, more: impl Fn(u64) -> bool) -> (u64, u64) {
    let lua = Lua::new();
    install(&lua).expect("the libraries fit into an empty state");
    let driver: Function = lua.load(DRIVER).eval().expect("a chunk that runs");
    let mut random = Random(seed);
    let (mut runs, mut accepted) = (0, 0);
    while more(runs) {
        let kind = random.below(3);
        let mut first = Vec::new();
        let mut second = Vec::new();
        match kind {
            0 => random.json(&mut first, 4),
            1 => random.message(&mut first, 4),
            _ => random.structure(&mut first, &mut second),
        }
        for _ in 0..random.pick(&[0, 0, 1, 1, 2, 4]) {
            random.damage(&mut first, kind);
        }
        let offset = random.below(80) as i64 - 20;
        let text = |bytes: &[u8]| lua.create_string(bytes).expect("memory for a string");
        let arguments = (kind, text(&first), text(&second), offset);
        // A panic inside names the input only if we do.
        match catch_unwind(AssertUnwindSafe(|| driver.call::<bool>(arguments))) {
            Ok(Ok(was_accepted)) => accepted += u64::from(was_accepted),
            found => panic!(
                "run {runs} of seed {seed}: {found:?} on {kind}, {}, {}, {offset}",
                first.escape_ascii(),
                second.escape_ascii()
            ),
        }
        runs += 1;
    }
    (runs, accepted)
}

/// SplitMix64, so that a seed gives the same inputs on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }

    /// A value of JSON, with containers up to `depth` deep, or deep and not closed.
    fn json(&mut self, out: &mut Vec<u8>, depth: usize) {
        match self.below(if depth == 0 { 4 } else { 7 }) {
            0 => out.extend(self.pick(&[
                &b"0"[..],
                b"-0",
                b"1",
                b"12.5e3",
                b"1e-320",
                b"0x1.8p-3",
                b"123456789012345678901234567890",
                b"inf",
                b"-nan(1)",
                b".5",
                b"1e999999999999999999999",
                b"0x",
                b"9007199254740993.00000000000000000001",
            ])),
            1 => out.extend(format!("{:e}", f64::from_bits(self.next())).bytes()),
            2 => out.extend(self.pick(&[&b"true"[..], b"false", b"null"])),
            3 => self.json_string(out),
            4 if self.below(50) == 0 => {
                let open = self.pick(&[&b"["[..], b"{\"\":", b"[1,[],"]);
                let count = self.pick(&[10, 1000, 2700, 4100, 9000]);
                out.extend(open.repeat(count));
            }
            4 | 5 => {
                out.push(b'[');
                let len = self.pick(&[0, 1, 2, 3, 4, 5, 8, 9]);
                let len = if self.below(40) == 0 { 127 + len } else { len };
                for index in 0..len {
                    out.extend(if index > 0 { &b", "[..] } else { b"" });
                    self.json(out, if len > 9 { 0 } else { depth - 1 });
                }
                out.push(b']');
            }
            _ => {
                out.push(b'{');
                for index in 0..self.pick(&[0, 1, 2, 3, 5]) {
                    out.extend(if index > 0 { &b","[..] } else { b"" });
                    self.json_string(out);
                    out.push(b':');
                    self.json(out, depth - 1);
                }
                out.push(b'}');
            }
        }
    }

    fn json_string(&mut self, out: &mut Vec<u8>) {
        out.push(b'"');
        for _ in 0..self.below(6) {
            out.extend(self.pick(&[
                &b"a"[..],
                b"plain text",
                b"\\n",
                b"\\\"",
                b"\\u0000",
                b"\\u20ac",
                b"\\ud83d\\ude00",
                b"\xff",
                b"\\ud83d",
            ]));
        }
        out.push(b'"');
    }

    /// Some values of MessagePack, with containers up to `depth` deep, or deep and not complete.
    fn message(&mut self, out: &mut Vec<u8>, depth: usize) {
        match self.below(if depth == 0 { 5 } else { 8 }) {
            0 => out.push(self.next() as u8),
            1 => {
                let (tag, len) = self.pick(&[
                    (0xca, 4),
                    (0xcb, 8),
                    (0xcc, 1),
                    (0xcd, 2),
                    (0xce, 4),
                    (0xcf, 8),
                    (0xd0, 1),
                    (0xd1, 2),
                    (0xd2, 4),
                    (0xd3, 8),
                ]);
                out.push(tag);
                out.extend(&self.next().to_le_bytes()[..len]);
            }
            2 => out.push(self.pick(&[0xc0, 0xc2, 0xc3, 0xa0, 0x00, 0xff])),
            3 => {
                let len = self.below(9);
                out.extend(self.pick(&[&b"\xd9"[..], b"\xda\0", b"\xdb\0\0\0"]));
                out.push(len as u8);
                out.extend(&self.next().to_le_bytes()[..len.min(8)]);
                out.extend(&b"x"[..len.saturating_sub(8)]);
            }
            4 => {
                let len = self.below(8);
                out.push(0xa0 | len as u8);
                out.extend(&self.next().to_le_bytes()[..len]);
            }
            5 if self.below(50) == 0 => {
                let open = self.pick(&[&b"\x91"[..], b"\x81\x01", b"\x82\x01\x02\x03", b"\x81"]);
                let count = self.pick(&[10, 1000, 2700, 3998, 4000, 9000]);
                out.extend(open.repeat(count));
            }
            5 | 6 => {
                let len = self.pick(&[0, 1, 2, 3, 5, 130]);
                match self.below(3) {
                    0 if len < 16 => out.push(0x90 | len as u8),
                    1 => out.extend([0xdc, 0, len as u8]),
                    _ => out.extend([0xdd, 0, 0, 0, len as u8]),
                }
                for _ in 0..len {
                    self.message(out, if len > 15 { 0 } else { depth - 1 });
                }
            }
            _ => {
                let len = self.pick(&[0, 1, 2, 3, 5]);
                match self.below(3) {
                    0 => out.push(0x80 | len as u8),
                    1 => out.extend([0xde, 0, len as u8]),
                    _ => out.extend([0xdf, 0, 0, 0, len as u8]),
                }
                for _ in 0..len {
                    out.push(self.below(128) as u8);
                    self.message(out, depth - 1);
                }
            }
        }
    }

    /// A format of `struct`, and bytes that may fit it.
    fn structure(&mut self, format: &mut Vec<u8>, bytes: &mut Vec<u8>) {
        for _ in 0..self.below(7) {
            let letter = self.pick(b"bBhHlLTiIfdscx<>! ");
            format.push(letter);
            if matches!(letter, b'i' | b'I' | b'c' | b'!') && self.below(3) != 0 {
                let count = match letter {
                    b'!' => 1 << self.below(5),
                    _ => self.pick(&[0, 0, 1, 2, 3, 4, 5, 8, 9, 16, 31, 32]),
                };
                format.extend(count.to_string().bytes());
            }
        }
        for _ in 0..self.below(12) {
            let small = self.below(9) as u64;
            let word = self.pick(&[0, 1, small, u64::MAX, 1 << 63, 0x4014_0000_0000_0000]);
            let word = self.pick(&[word, word, 0x6162_6364]);
            bytes.extend(word.to_le_bytes());
        }
    }

    fn damage(&mut self, bytes: &mut Vec<u8>, kind: usize) {
        if bytes.is_empty() {
            return;
        }
        let at = self.below(bytes.len());
        let known = match kind {
            0 => self.pick(b"{}[],:\"\\0123456789.eE+-xpnullinf\0"),
            1 => self.pick(b"\x80\x91\xa1\xc0\xc1\xc4\xca\xcf\xd4\xd9\xda\xdb\xdc\xdd\xde\xdf\xff"),
            _ => self.pick(b"0123456789csi!<> \0%"),
        };
        match self.below(7) {
            0 => bytes[at] ^= 1 << self.below(8),
            1 => bytes[at] = self.next() as u8,
            2 => bytes[at] = known,
            3 => bytes.truncate(at),
            4 => {
                bytes.remove(at);
            }
            5 => bytes.insert(at, known),
            _ => {
                let end = at + self.below((bytes.len() - at).min(40) + 1);
                let piece = bytes[at..end].to_vec();
                let to = self.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
}
