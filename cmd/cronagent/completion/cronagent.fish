# fish completion for cronagent
#
# It calls nothing but "cronagent __complete", which asks neither the platform nor the
# ledger. What was typed is handed over as it is, and never evaluated.

function __cronagent_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    # What stands in quotes, without them.
    set -l typed (string replace -ra '[\'"\\\\\\\\]' '' -- $current)
    set -l lines ($words[1] __complete $words[2..-1] "$typed" 2>/dev/null)
    set -l directive (string replace -r '^:' '' -- $lines[-1])
    set -e lines[-1]
    test -n "$directive"; and test (math "bitand($directive, 1)") = 0
    or return
    set -l flag (string match -r -- '^-[^=]*=' $typed)
    for line in (string match -- '?*' $lines)
        printf '%s%s\n' "$flag" $line
    end
    if test -z "$lines[1]"; and test (math "bitand($directive, 4)") = 0
        __fish_complete_path $current
    end
end

complete -c cronagent -e
complete -c cronagent -f -a '(__cronagent_complete)'
# The links beside it, but not the vendor's own tool.
for link in platform upsun webpaas
    if command -q cronagent; and command -q $link; and test (realpath (command -s cronagent)) = (realpath (command -s $link))
        complete -c $link -e
        complete -c $link -f -a '(__cronagent_complete)'
    end
end
