#!/usr/bin/env python3
"""Run units of the upstream Tcl test suite against our server, under a ratchet.

usage: run.py --server BINARY [--suite DIR] [--units a,b | --units-file FILE] [--known FILE]
              [--jobs 2] [--timeout 150] [--all] [-v]

--server      the server under test, called as the suite calls its own (config file, directives)
--suite       unpacked upstream source; default: what fetch.sh beside this file prints
--units       units by name, separated by commas; default: those of --units-file
--units-file  one unit a line ('#' starts a comment); default: units.txt beside this file
--known       accepted failures; default: known-failures.txt beside this file. One a line:
                  unit | test name | reason           runs, and may fail
                  unit | test name | skip: reason     is not run: it would hang, or spoil later tests
              A failure that is not listed fails the run. A listed one that passes is reported, as is
              one that no test bears the name of: delete the line.
--timeout     seconds without progress after which a unit is taken to hang
--all         run the tests marked 'skip:' too: which of them pass by now?
--logs DIR    keep every unit's full output there
-v            print why a test failed

Every unit runs in a scratch tree whose src/ holds our server and Debian's redis-tools under the
suite's own names, so one unit's crash cannot take the others down. resilient.tcl, loaded there,
keeps a unit going after an error outside its tests and after the death of its server. A test that
hangs is a failure, and the unit is run again without it.
The last line is 'N passed, N failed, N skipped' (skipped: known failures).
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from queue import Queue

HERE = os.path.dirname(os.path.abspath(__file__))
ANSI = re.compile(r'\x1b\[[0-9;]*m')
HANGS_MAX = 5         # A unit with more hanging tests than this is given up.
PORTS_PER_UNIT = 300
PORT_BLOCKS = 20      # The one that was left longest ago is taken; above 32768 are the ports of outgoing connections.
RUNNING = {}          # The suites at work: scratch tree -> process.


def main():
    a = arguments()
    signal.signal(signal.SIGTERM, stop)
    suite = a.suite or subprocess.run([f'{HERE}/fetch.sh'], check=True, capture_output=True,
                                      text=True).stdout.split()[-1]
    units = a.units.split(',') if a.units else list(lines(a.units_file))
    known = read_known(a.known)
    total = [0, 0, 0]
    with ThreadPoolExecutor(a.jobs) as pool:
        blocks = Queue()
        for block in range(max(PORT_BLOCKS, a.jobs)):
            blocks.put(a.base_port + (PORTS_PER_UNIT + 40) * block)
        jobs = [pool.submit(run_on_free_ports, blocks, a, suite, unit, known) for unit in units]
        for unit, job in zip(units, jobs):
            for i, n in enumerate(report(unit, job.result(), known, a)):
                total[i] += n
    print('{} passed, {} failed, {} skipped'.format(*total))
    sys.exit(1 if total[1] else 0)


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument('--server', required=True)
    ap.add_argument('--suite')
    ap.add_argument('--units')
    ap.add_argument('--units-file', default=f'{HERE}/units.txt')
    ap.add_argument('--known', default=f'{HERE}/known-failures.txt')
    ap.add_argument('--jobs', type=int, default=2)
    ap.add_argument('--timeout', type=int, default=150)
    ap.add_argument('--base-port', type=int, default=21000)
    ap.add_argument('--all', action='store_true')
    ap.add_argument('--logs')
    ap.add_argument('-v', action='store_true')
    return ap.parse_args()


def lines(path):
    for line in open(path):
        line = line.split('#')[0].strip()
        if line:
            yield line


def read_known(path):
    """{unit: {test name: reason}}; a reason that starts with 'skip:' keeps the test from running."""
    known = {}
    for number, line in enumerate(open(path) if os.path.exists(path) else [], 1):
        if not line.strip() or line.startswith('#'):
            continue
        parts = [part.strip() for part in line.split(' | ', 2)]
        if len(parts) != 3 or not all(parts):
            sys.exit(f'{path}:{number}: not "unit | test name | reason": {line.strip()}')
        known.setdefault(parts[0], {})[parts[1]] = parts[2]
    return known


class Outcome:
    """What one unit's tests came to. `failed` maps a test name to its details."""
    def __init__(self):
        self.passed, self.failed, self.skipped, self.seconds = [], {}, set(), 0


def run_on_free_ports(blocks, *arguments):
    port = blocks.get()
    try:
        return run_unit(*arguments, port)
    finally:
        blocks.put(port)


def run_unit(a, suite, unit, known, port):
    skip = [] if a.all else [name for name, reason in known.get(unit, {}).items() if reason.startswith('skip:')]
    started, hung = time.time(), {}
    while True:
        output = run_suite(a, suite, unit, skip + list(hung), port)
        if a.logs:
            os.makedirs(a.logs, exist_ok=True)
            with open(f'{a.logs}/{unit.replace("/", "-")}.log', 'w') as log:
                log.write(output)
        outcome = read_output(unit, output)
        stuck = re.findall(r'\(IN PROGRESS\) (.*)', output)
        if not stuck or len(hung) >= HANGS_MAX or stuck[0] in hung:
            break
        hung[stuck[0]] = f'no progress for {a.timeout} s'
    outcome.failed.update(hung)
    outcome.skipped -= set(hung)
    outcome.seconds = time.time() - started
    return outcome


def run_suite(a, suite, unit, skip, port):
    tree = scratch_tree(suite, a.server)
    with open(f'{tree}/skip', 'w') as f:
        f.write('\n'.join(skip))
    command = ['tclsh', 'tests/test_helper.tcl', '--single', unit, '--clients', '1', '--durable',
               '--baseport', str(port + 40), '--portcount', str(PORTS_PER_UNIT),
               '--timeout', str(a.timeout), '--skipfile', 'skip']
    process = subprocess.Popen(command, cwd=tree, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, start_new_session=True)
    RUNNING[tree] = process
    try:
        output, _ = process.communicate(timeout=1800)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
    del RUNNING[tree]
    kill_leftovers(tree)
    shutil.rmtree(tree, ignore_errors=True)
    return ANSI.sub('', output.decode(errors='replace'))


def scratch_tree(suite, server):
    tree = os.path.realpath(tempfile.mkdtemp(prefix='upstream-'))
    shutil.copytree(f'{suite}/tests', f'{tree}/tests', symlinks=True)
    shutil.copy(f'{HERE}/resilient.tcl', f'{tree}/tests/support/resilient.tcl')
    edit(f'{tree}/tests/test_helper.tcl',
         'source tests/support/util.tcl\n', 'source tests/support/util.tcl\nsource tests/support/resilient.tcl\n')
    edit(f'{tree}/tests/test_helper.tcl', '    source $path\n', '    resilient_source $path\n')
    os.makedirs(f'{tree}/src')
    for conf in ('redis.conf', 'valkey.conf'):
        if os.path.exists(f'{suite}/{conf}'):
            shutil.copy(f'{suite}/{conf}', tree)
    for prefix in ('redis', 'valkey'):
        os.symlink(os.path.realpath(server), f'{tree}/src/{prefix}-server')
        for tool in ('cli', 'benchmark'):
            os.symlink(f'/usr/bin/redis-{tool}', f'{tree}/src/{prefix}-{tool}')
        for tool in ('check-aof', 'check-rdb'):
            os.symlink(os.path.realpath(server), f'{tree}/src/{prefix}-{tool}')
    return tree


def edit(path, old, new):
    text = open(path, encoding='utf-8').read()
    if text.count(old) != 1:
        sys.exit(f'{path}: expected exactly one {old!r}: another version of the suite?')
    with open(path, 'w', encoding='utf-8') as f:
        f.write(text.replace(old, new))


def kill_leftovers(tree):
    """Ends the processes an aborted unit left behind: those whose working directory is in its tree."""
    for pid in filter(str.isdigit, os.listdir('/proc')):
        try:
            if os.readlink(f'/proc/{pid}/cwd').startswith(tree + '/'):
                os.kill(int(pid), signal.SIGKILL)
        except OSError:
            pass


def stop(*_):
    """A time limit set from outside ends the run by SIGTERM: nothing it started may outlive it."""
    for tree, process in list(RUNNING.items()):
        os.killpg(process.pid, signal.SIGKILL)
        kill_leftovers(tree)
        shutil.rmtree(tree, ignore_errors=True)
    print('stopped', flush=True)
    os._exit(1)


def read_output(unit, output):
    outcome = Outcome()
    outcome.passed = re.findall(r'^\[ok\]: (.*?)(?: \(\d+ ms\))?$', output, re.M)
    outcome.skipped = set(re.findall(r'^\[skip\]: (.*)$', output, re.M))
    # A message runs to the next line that starts one; its first line ends in 'in tests/<file>'.
    for message in re.findall(r'^\[err\]: (.*(?:\n(?!\[\w+[\]/ ]|\n +The End).*)*)', output, re.M):
        name, _, detail = message.partition('\n')
        name = re.sub(r' in tests/\S*$', '', name).strip()
        outcome.failed[name] = outcome.failed.get(name, '') + detail
    if '[exception]' in output or f'done]: {unit} (' not in output:
        outcome.failed['(aborted)'] = output[-3000:]
    return outcome


def report(unit, outcome, known, a):
    listed = known.get(unit, {})
    new = {name: detail for name, detail in outcome.failed.items() if name not in listed}
    skipped = len(outcome.failed) - len(new) + len(outcome.skipped)
    print(f'{unit:24} {len(outcome.passed):4} passed {len(new):3} failed {skipped:3} skipped {outcome.seconds:5.0f} s',
          flush=True)
    for name, detail in new.items():
        print(f'    FAIL {unit} | {name}')
        if a.v and detail.strip():
            shown = detail.strip().split('\n')
            if len(shown) > 14:
                shown[6:-8] = ['…']
            print('        ' + '\n        '.join(shown))
    for name in listed:
        if name not in outcome.failed and name not in outcome.skipped:
            what = 'now passes' if name in outcome.passed else 'is no longer there'
            print(f'    {what}, delete its line: {unit} | {name}')
    return len(outcome.passed), len(new), skipped


if __name__ == '__main__':
    main()
