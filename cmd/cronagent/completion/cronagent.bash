# bash completion for cronagent                          -*- shell-script -*-
#
# It needs no other package, and calls nothing but "cronagent __complete", which asks
# neither the platform nor the ledger. What was typed is handed over as it is, and
# never evaluated: a command in $(...) is not run by pressing tab.

__cronagent_complete() {
	local IFS=$' \t\n' line=${COMP_LINE:0:COMP_POINT} rest word i
	local -a words=()
	COMPREPLY=()
	# bash cuts words at : and = too; what no blank separates is put together again.
	for ((i = 0; i <= COMP_CWORD; i++)); do
		rest=${line#"${line%%[![:space:]]*}"}
		word=${COMP_WORDS[i]}
		((i < COMP_CWORD)) || word=$rest
		if ((i > 0)) && [[ $rest == "$line" && ($word == [:=]* || ${COMP_WORDS[i - 1]} == *[:=]) ]]; then
			words[${#words[@]} - 1]+=$word
		else
			words+=("$word")
		fi
		line=${rest#"$word"}
	done
	local last=$((${#words[@]} - 1)) quote=''
	((last > 0)) || return
	# A redirection is for files.
	[[ ${words[last - 1]} != *[\<\>] ]] || return
	[[ ${words[last]} != [\'\"]* ]] || quote=${words[last]:0:1}
	words=("${words[@]//[\\\'\"]/}")

	local out directive
	out=$("${words[0]/#\~\//$HOME/}" __complete "${words[@]:1}" 2>/dev/null) || return
	out=$'\n'$out
	directive=${out##*$'\n':}
	[[ $directive =~ ^[0-9]+$ ]] || return # arithmetic would evaluate it
	out=${out%$'\n':*}
	if ((directive & 1)); then return; fi
	if ((directive & 2)); then compopt -o nospace 2>/dev/null; fi
	if ((directive & 4)); then compopt +o default 2>/dev/null; fi

	# Of --flag=word bash completes what is behind =, and of a:b what is behind :
	local stem=${words[last]} cut='' name width=0 escaped=''
	[[ $stem != -*=* ]] || stem=${stem#*=}
	[[ -n $quote || $stem != *:* || $COMP_WORDBREAKS != *:* ]] || cut=${stem%"${stem##*:}"}
	local -a found=()
	while IFS= read -r line; do
		name=${line%%$'\t'*}
		[[ -n $line && $name == "$stem"* ]] || continue
		# What these quotes cannot hold as it is would be expanded, or end them.
		[[ $quote != "'" || $name != *"'"* ]] || continue
		[[ $quote != '"' || $name != *[\"\$\`\\!]* ]] || continue
		found+=("${line#"$cut"}")
		word=${name#"$cut"}
		if [[ -z $quote && $word == *[!A-Za-z0-9_:=,./@%+-]* ]]; then
			printf -v word %q "$word"
			escaped=yes
		fi
		COMPREPLY+=("$word")
		((${#word} <= width)) || width=${#word}
	done <<<"$out"
	# What is put into the line has no description: a single word, or one after another
	# as with menu-complete. Nor have words that need a backslash.
	if ((${#found[@]} < 2)) || [[ -n $escaped || $COMP_TYPE == 37 || $COMP_TYPE == 42 ]]; then return; fi
	for ((i = 0; i < ${#found[@]}; i++)); do
		[[ ${found[i]} == *$'\t'* ]] || continue
		printf -v word '%-*s  (%s)' "$width" "${found[i]%%$'\t'*}" "${found[i]#*$'\t'}"
		((${#word} < ${COLUMNS:-80})) || word=${word:0:${COLUMNS:-80}-3}…
		COMPREPLY[i]=$word
	done
}

complete -o default -F __cronagent_complete cronagent
# The links beside it, but not the vendor's own tool, which has a completion of its own.
for __cronagent_link in platform upsun webpaas; do
	[[ $(type -P cronagent) -ef $(type -P "$__cronagent_link") ]] || continue
	complete -o default -F __cronagent_complete "$__cronagent_link"
done
unset __cronagent_link
