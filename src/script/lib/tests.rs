//! What scripts see of the libraries, compared with what a Redis 7.0.15 answered to the same expressions.
//!
//! `cases.txt` has a line with an expression, which starts with `> `, and a line with its values as `SHOW` prints
//! them: whether the call went well, then the values, or the error.

use mlua::Lua;

use super::install;

/// Defines `go`, which prints the values that a function returns in a table.
const SHOW: &str = r#"
local function quoted(text)
  return '"' .. text:gsub('[^%w%p ]', function(c) return string.format('\\%03d', c:byte()) end) .. '"'
end
local function show(value, depth)
  if type(value) == 'number' then return string.format('%.17g', value) end
  if type(value) == 'string' then return quoted(value) end
  if type(value) == 'userdata' then return value == cjson.null and 'null' or 'userdata' end
  if type(value) == 'function' then return 'function' end
  if type(value) ~= 'table' then return tostring(value) end
  if depth > 40 then return '{deep}' end
  local members = {}
  for k, v in pairs(value) do
    members[#members + 1] = show(k, depth + 1) .. '=' .. show(v, depth + 1)
  end
  table.sort(members)
  return '{#' .. #value .. ' ' .. table.concat(members, ',') .. '}'
end
function go(f)
  local ok, values = pcall(f)
  if not ok then return 'false ' .. show(values, 0) end
  local shown = {}
  for i = 1, values.n do shown[i] = show(values[i], 0) end
  return 'true ' .. table.concat(shown, ' ')
end
function packed(...) return {n = select('#', ...), ...} end
"#;

/// A Lua state with the libraries and `go`.
fn lua() -> Lua {
    let lua = Lua::new();
    install(&lua).expect("the libraries fit into an empty state");
    lua.load(SHOW).exec().expect("a chunk that runs");
    lua
}

/// What an expression's values print as.
fn values(lua: &Lua, expression: &str) -> String {
    // Errors name the line, which is the second.
    let script = format!("\nreturn go(function() return packed({expression}) end)");
    let chunk = lua.load(script).set_name("@user_script");
    chunk.eval().unwrap_or_else(|error| error.to_string())
}

#[test]
fn answers_as_redis_does() {
    let lua = lua();
    let mut lines = include_str!("cases.txt").lines();
    let mut cases = 0;
    while let Some(line) = lines.next() {
        let expression = line.strip_prefix("> ").expect("an expression");
        let expected = lines.next().expect("what it prints");
        assert_eq!(values(&lua, expression), expected, "{expression}");
        cases += 1;
    }
    assert!(cases >= 200, "only {cases} cases");
}

/// Shows an expression's values as Redis shows them nowhere: where it dies, or answers by chance.
fn check(expression: &str, expected: &str) {
    assert_eq!(values(&lua(), expression), expected, "{expression}");
}

/// Strings are read and written by words: an escape may stand anywhere in one, and across two.
#[test]
fn escapes_stand_anywhere() {
    let lua = lua();
    let script = r##"
    local escaped = [=[\"#\\]\/\b\f\n\r\t\u0041\u00e9\u20ac\ud83d\ude00\u0000\u001f]=]
    local plain = '"#\\]/\b\f\n\r\tA\195\169\226\130\172\240\159\152\128\0\31'
    for before = 0, 20 do
      for behind = 0, 20 do
        local start, rest = ('x'):rep(before), ('y'):rep(behind)
        local text = start .. plain .. rest
        assert(cjson.decode('["' .. start .. escaped .. rest .. '"]')[1] == text)
        assert(cjson.decode(cjson.encode({text}))[1] == text)
        for _, bad in ipairs({'\\', '\\u12g4', '\\ud800', '\\udc00\\udc00', '\0'}) do
          local ok, why = pcall(cjson.decode, '["' .. start .. '\\n' .. rest .. bad)
          assert(not ok and why:find('at character ' .. 5 + before + behind, 1, true), why)
        end
      end
    end"##;
    lua.load(script).exec().expect("equal texts");
}

#[test]
fn settings_belong_to_their_table() {
    check(
        "(function() local a, b = cjson.new(), cjson.new() a.encode_number_precision(3)
         return a.encode(1/3), b.encode(1/3), a.new().encode(1/3) end)()",
        r#"true "0.333" "0.33333333333333" "0.33333333333333""#,
    );
}

#[test]
fn what_contains_itself_many_times_ends_in_an_error() {
    // Sixteen tables, each holding the next ten times, are 10^16 values.
    let nest = "(function() local t = string.rep('x', 1000000)
        for _ = 1, 15 do t = {t, t, t, t, t, t, t, t, t, t} end
        return select(2, pcall(LIBRARY, t)) end)()";
    for library in ["cjson.encode", "cmsgpack.pack"] {
        check(
            &nest.replace("LIBRARY", library),
            r#"true "result too large""#,
        );
    }
}

#[test]
fn depth_is_limited_by_the_stack_of_lua_alone() {
    let lua = lua();
    lua.load("c = cjson.new() c.decode_max_depth(2^31 - 1) c.encode_max_depth(2^31 - 1)")
        .exec()
        .expect("a chunk that runs");
    for open in ["[", "[1,", "{\"a\":", "[{\"a\":[1,"] {
        let script = format!("return pcall(c.decode, ('{open}'):rep(1000000))");
        let (ok, error): (bool, String) = lua.load(script).eval().unwrap();
        assert!(!ok && error.starts_with("Found too many nested"), "{error}");
    }
    // What can be decoded can be encoded.
    let script = "local text = ('['):rep(6000) .. (']'):rep(6000)
        return c.encode(c.decode(text)) == text:gsub('%[%]', '{}')";
    assert!(lua.load(script).eval::<bool>().unwrap());
    let script = "local t = {} t[1] = t return pcall(c.encode, t)";
    let (ok, error): (bool, String) = lua.load(script).eval().unwrap();
    assert!(
        !ok && error.starts_with("Cannot serialise, excessive nesting"),
        "{error}"
    );
}

#[test]
fn an_error_leaves_the_next_call_its_buffer() {
    let lua = lua();
    for failing in [
        "cjson.encode, {1, print}",
        "struct.pack, 'bi', 1, 'x'",
        "cjson.decode, [[\"\\n]]",
    ] {
        let script = format!(
            "for _ = 1, 1000 do pcall({failing}) end
             return cjson.encode({{1, 2}}) .. struct.pack('b', 65) .. cjson.decode('\"\\\\n\"')"
        );
        assert_eq!(
            lua.load(script).eval::<String>().unwrap(),
            "[1,2]A\n",
            "{failing}"
        );
    }
}

/// A finalizer may run whenever Lua allocates, so also between a buffer's last byte and the copy of it.
#[test]
fn a_finalizer_may_call_the_library_it_interrupts() {
    let script = "local calls, right = 0, true
        local function plant()
          getmetatable(newproxy(true)).__gc = function()
            calls = calls + 1
            right = right and cjson.encode({('y'):rep(5000)}) == '[\"' .. ('y'):rep(5000) .. '\"]'
            right = right and cjson.decode('\"\\\\n' .. ('z'):rep(3000) .. '\"') == '\\n' .. ('z'):rep(3000)
            right = right and cmsgpack.pack(1, 2) == '\\1\\2' and struct.pack('b', 7) == '\\7'
            plant()
          end
        end
        plant()
        local text = ('x'):rep(2000)
        for i = 1, 3000 do
          right = right and cjson.encode({text, i}) == '[\"' .. text .. '\",' .. i .. ']'
          right = right and cjson.decode('[\"\\\\t' .. text .. '\"]')[1] == '\\t' .. text
          right = right and #cmsgpack.pack(text, i) > 2000 and #struct.pack('sb', text, 1) == 2002
        end
        return right, calls";
    let lua = lua();
    let (right, calls): (bool, u32) = lua.load(script).eval().unwrap();
    assert!(right && calls > 10, "{right}, {calls} finalizers");
}

/// Whether an error says that there is no room on Lua's stack.
fn is_too_deep(error: &str) -> bool {
    error.contains("too many nested") || error.contains("stack overflow")
}

/// Memory can run out at any allocation, and what was built up to then must not be lost.
#[test]
fn memory_that_runs_out_is_an_error() {
    let lua = lua();
    let scripts = [
        "local t = {} for i = 1, 100 do t[i] = ('x'):rep(i) end return #cjson.encode(t)",
        "local t = cjson.decode('[' .. ('{\"a\":[1,2,\"\\\\n\"]},'):rep(100) .. '1]') return #t",
        "return #cmsgpack.unpack('\\220\\0\\100' .. ('\\146\\161a\\129\\1\\2'):rep(100))",
        "local t = {} for i = 1, 300 do t[i] = {i, 'x' .. i} end return #cmsgpack.pack(t)",
        "return #struct.pack('s', ('x'):rep(10000))",
    ];
    for script in scripts {
        let whole: u32 = lua.load(script).eval().unwrap();
        let mut failures = 0;
        for spare in (0..60_000).step_by(500) {
            lua.gc_collect().unwrap();
            lua.set_memory_limit(lua.used_memory() + spare).unwrap();
            match lua.load(script).eval::<u32>() {
                Ok(found) => assert_eq!(found, whole, "{script}"),
                Err(mlua::Error::MemoryError(_)) => failures += 1,
                // A stack that has no room to grow looks the same as one that is too deep.
                Err(error) if is_too_deep(&error.to_string()) => failures += 1,
                Err(error) => panic!("{script}: {error}"),
            }
            lua.set_memory_limit(0).unwrap();
        }
        assert!(failures > 3, "{script}: {failures} failures");
    }
}
