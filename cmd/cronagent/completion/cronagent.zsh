#compdef cronagent
# zsh completion for cronagent
#
# It calls nothing but "cronagent __complete", which asks neither the platform nor the
# ledger. What was typed is handed over as it is, and never evaluated.

_cronagent() {
	local -a args lines described space
	local program out directive line name
	program=${(Q)words[1]}
	args=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
	[[ $program == '~'/* ]] && program=$HOME/${program#'~/'}
	out=$("$program" __complete "${args[@]}" 2>/dev/null) || return 1
	lines=("${(@f)out}")
	directive=${lines[-1]#:}
	[[ $directive == <-> ]] || return 1 # arithmetic would evaluate it
	lines[-1]=()
	(( directive & 1 )) && return 1
	(( directive & 2 )) && space=(-S '')
	# Of --flag=word what is behind = is completed.
	[[ $PREFIX == -*=* ]] && compset -P 1 '*='
	for line in $lines; do
		name=${line%%$'\t'*}
		if [[ $line == *$'\t'* ]]; then
			described+=("${name//:/\\:}:${line#*$'\t'}")
		else
			described+=("${name//:/\\:}")
		fi
	done
	if (( $#described )); then
		_describe -t cronagent cronagent described $space
		return
	fi
	(( directive & 4 )) || _files
}

if [[ ${funcstack[1]-} == _cronagent ]]; then # a file in fpath
	_cronagent "$@"
else # eval or source
	(( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i -D }
	compdef _cronagent cronagent
	# The links beside it, but not the vendor's own tool.
	for __cronagent_link in platform upsun webpaas; do
		[[ -n ${commands[cronagent]-} && ${commands[cronagent]} -ef ${commands[$__cronagent_link]-} ]] && compdef _cronagent $__cronagent_link
	done
	unset __cronagent_link
fi
