# Keeps an upstream unit going when something in it raises.
#
# The suite gives up a whole unit, or the rest of a `start_server` block, at the first Tcl error
# outside a test; every later test is then silently not run. With this file loaded (run.py puts it
# into the scratch tree, after the suite's own support code):
#   - the commands of a unit file and of each start_server block run one by one. One that raises
#     outside any test is a failure named "(outside) <its first line>", and the next command runs;
#   - after a test that raised, the default clients are connected anew, so that replies still in
#     flight, a protocol switch or an open transaction do not reach the next test;
#   - a server that died is started again for the next test, and its death is a failure
#     named "(server died) <the test it died in>", unless that test calls `shutdown`.
#   - annotations in an append-only file are skipped, as every server does.
# The tests themselves, and what counts as passing, stay the suite's.

# Splits a script into its top-level commands.
proc resilient_commands {script} {
    set commands {}
    set command ""
    foreach line [split $script "\n"] {
        append command $line "\n"
        if {[info complete $command]} {
            if {[string trim $command] ne "" && ![string match "#*" [string trimleft $command]]} {
                lappend commands $command
            }
            set command ""
        }
    }
    # An unterminated rest is handed to Tcl, whose error then says what is wrong.
    if {[string trim $command] ne ""} { lappend commands $command }
    return $commands
}

proc resilient_report {name detail} {
    incr ::num_failed
    lappend ::tests_failed [list $name $detail]
    send_data_packet $::test_server_fd err "$name in $::curfile\n$detail"
}

# Runs a script in the caller's frame, command by command.
proc resilient_eval {script} {
    foreach command [resilient_commands $script] {
        set code [catch {uplevel 1 $command} result options]
        if {$code == 1} {
            set first_line [lindex [split [string trim $command] "\n"] 0]
            resilient_report "(outside) [string trim $first_line]" $::errorInfo
            catch resilient_refresh
        } elseif {$code != 0} {
            return -options $options $result
        }
    }
}

# What run.py makes the suite call instead of `source`.
proc resilient_source {path} {
    set file [open $path r]
    set script [read $file]
    close $file
    uplevel 1 [list resilient_eval $script]
}

# True when there is an innermost server and its process has ended.
proc resilient_server_is_dead {} {
    if {$::external || [llength $::servers] == 0} { return 0 }
    return [expr {![is_alive [srv 0 pid]]}]
}

# Gives every server on the stack a clean connection behind its default client. The client's handle
# stays valid: units keep it in variables.
proc resilient_refresh {} {
    foreach server $::servers {
        if {![dict exists $server client] || ![is_alive [dict get $server pid]]} continue
        set client [dict get $server client]
        if {![regexp {valkeyHandle(\d+)$} $client _ id]} continue
        catch {close $::valkey::fd($id)}
        # The client connects anew at the next command when it has no channel.
        set ::valkey::fd($id) {}
        ::valkey::valkey_reset_state $id
        foreach {flag value} {blocking 1 deferred 0 readraw 0 testing_resp3 0} { set ::valkey::${flag}($id) $value }
        if {![dict exists $server config requirepass] && !$::singledb} { $client select 9 }
    }
}

rename start_server resilient_start_server
proc start_server {options {code undefined}} {
    if {$code ne "undefined"} { set code [list resilient_eval $code] }
    uplevel 1 [list resilient_start_server $options $code]
}

set ::resilient_last_test ""
set ::resilient_last_code ""
rename test resilient_test
proc test {name code args} {
    # Only a server that the suite has given a client is one that tests expect to be up.
    # One that the last test ended on purpose stays so: what follows counts on that, or tidies up.
    set was_shut_down [string match "*r shutdown*" $::resilient_last_code]
    if {!$was_shut_down && [resilient_server_is_dead] && [dict exists [lindex $::servers end] client]} {
        resilient_report "(server died) $::resilient_last_test" [crashlog_from_file [srv 0 stdout]]
        restart_server 0 true false
    }
    set ::resilient_last_test $name
    set ::resilient_last_code $code
    set failures $::num_failed
    set ::resilient_raised 0
    uplevel 1 [list resilient_test $name [list resilient_body $code] {*}$args]
    if {$::resilient_raised} { catch resilient_refresh }
}

# The body of a test, with a note of whether it raised anything but a failed assertion.
proc resilient_body {code} {
    set status [catch {uplevel 1 $code} result options]
    if {$status == 1} { set ::resilient_raised 1 }
    dict incr options -level
    return -options $options $result
}

# The suite's reader of append-only files knows none of the annotations, lines that begin with '#', that its own
# server writes too and that all servers skip.
rename read_from_aof read_command_from_aof
proc read_from_aof {fp} {
    while {1} {
        set at [tell $fp]
        if {[gets $fp line] == -1} { return "" }
        if {![string match "#*" $line]} {
            seek $fp $at
            return [read_command_from_aof $fp]
        }
    }
}
