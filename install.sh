#!/bin/sh
# install.sh installs cronagent from the build hook of a Platform.sh, Upsun or OVH Web PaaS application:
#
#   set -e
#   curl -fsS https://HOST/install.sh | sh
#   .platformsh/bin/cronagent version
#
# The last line is part of it: a pipe ends with the status of sh, and sh is content with an empty script, so a
# download that failed does not fail the hook. The missing binary does.
#
# It runs in dash, busybox sh and bash. All variables are global: "local" is not POSIX.
#
# The braces around all functions are for a script that arrives in part. Without them it would be a sequence of
# definitions, and one cut off inside a name would run the command of that name: "env", "make", "install".
{
	# dist.sh writes the values of this function anew. Without them the script refuses to install.
	# base_url is the one place in the sources that holds the address which releases are downloaded from.
	release() {
		base_url='https://downloads.cronagent.example'
		version=''
		# sha256 of the compressed file, and of the binary in it.
		download_sum_amd64=''
		binary_sum_amd64=''
		download_sum_arm64=''
		binary_sum_arm64=''
	}

	usage() {
		cat <<-EOF
			Installs cronagent ${version:-(no version: not made by dist.sh)} from $base_url

			  curl -fsS $base_url/install.sh | sh
			  curl -fsS $base_url/install.sh | sh -s -- --uninstall

			In a build hook (PLATFORM_PROJECT and PLATFORM_APP_DIR are set) the binary goes to .platformsh/bin in
			the application's folder, with links named platform, upsun and webpaas beside it, and .environment gets
			a marked block that appends the folder to PATH. .environment is left alone in a git work tree, in DDEV
			and at run time. Elsewhere the binary goes to ~/.local/bin, with links for those of the names that are
			not commands yet. Let the next line of the hook be ".platformsh/bin/cronagent version": it fails the
			build if nothing was installed.

			  --uninstall   remove what was installed, and nothing else
			  --help        show this text

			Environment variables:
			  CRONAGENT_INSTALL_DIR  install into this folder
			  CRONAGENT_LINKS        yes (default) or no: make the links
			  CRONAGENT_SHA256       sha256 that the binary must have
			  CRONAGENT_VERSION      another version than ${version:-the one built in}. This script knows no checksums
			                         of other versions: CRONAGENT_SHA256 must be set too, to the sum of the binary in
			                         that version's SHA256SUMS
			  CRONAGENT_BASE_URL     download from this address: https, or http to this machine
			  CRONAGENT_VENDOR       platformsh, upsun or webpaas, for .environment; default: from PLATFORM_VENDOR
		EOF
	}

	say() {
		printf 'cronagent: %s\n' "$1" >&2
	}

	warn() {
		say "warning: $1"
	}

	# fail STATUS ERROR [HINT]
	fail() {
		say "error: $2"
		[ -z "${3:-}" ] || say "hint: $3"
		exit "$1"
	}

	die() {
		fail 1 "$@"
	}

	has() {
		command -v "$1" >/dev/null 2>&1
	}

	main() {
		set -eu
		# Ranges like [a-z] mean what they say, and tools report errors in one language.
		LC_ALL=C
		export LC_ALL
		# Called by a last line that was cut off, see the end of the file.
		[ $# -gt 0 ] || die 'the end of install.sh is missing' 'the download was cut off; run it again'
		shift

		release
		action=install
		for arg in "$@"; do
			case $arg in
			-h | --help) action=usage ;;
			--uninstall) [ "$action" = usage ] || action=uninstall ;;
			*) fail 2 "install.sh: unknown argument \"$arg\"" 'try: sh install.sh --help' ;;
			esac
		done
		if [ "$action" = usage ]; then
			usage
			return 0
		fi

		for tool in cat chmod cp grep gzip ln mkdir mktemp mv readlink rm rmdir sed sleep tail tr uname; do
			has "$tool" || die "the command \"$tool\" is missing" 'install it, or add its folder to PATH'
		done
		work='' made='' child=''
		# dash and busybox sh skip the EXIT trap when a signal ends them.
		trap cleanup EXIT
		trap 'exit 129' HUP
		trap 'exit 130' INT
		trap 'exit 143' TERM
		locate
		"$action"
	}

	# cleanup leaves nothing behind of an installation that did not get as far as the move.
	cleanup() {
		[ -z "$child" ] || kill "$child" 2>/dev/null || :
		[ -z "$work" ] || rm -rf "$work"
		[ -z "$made" ] || remove_folders
	}

	# locate sets app_dir (empty off the platform), dir, links, and untouchable: why .environment is not ours to
	# change.
	locate() {
		app_dir=''
		if [ -n "${PLATFORM_PROJECT:-}" ] && [ -n "${PLATFORM_APP_DIR:-}" ]; then
			app_dir=${PLATFORM_APP_DIR%/}
			case $app_dir in
			/*) ;;
			*) die "PLATFORM_APP_DIR is \"$PLATFORM_APP_DIR\", which is not the absolute path of a folder" \
				'unset it if this is not a container of the platform' ;;
			esac
			[ -d "$app_dir" ] || die "PLATFORM_APP_DIR is \"$PLATFORM_APP_DIR\", and there is no such folder" \
				'unset it if this is not a container of the platform'
		fi

		if [ -n "${CRONAGENT_INSTALL_DIR:-}" ]; then
			case $CRONAGENT_INSTALL_DIR in
			/*) dir=${CRONAGENT_INSTALL_DIR%/} ;;
			*) dir=$PWD/${CRONAGENT_INSTALL_DIR%/} ;;
			esac
		elif [ -n "$app_dir" ]; then
			dir=$app_dir/.platformsh/bin
		elif [ -n "${HOME:-}" ]; then
			dir=${HOME%/}/.local/bin
		else
			die 'HOME is not set, and this is not a build of the platform' \
				'name the folder to install into: CRONAGENT_INSTALL_DIR=/usr/local/bin'
		fi
		case $dir/ in
		/ | */../*) fail 2 "\"$dir/\" is not a folder to install into" \
			'set CRONAGENT_INSTALL_DIR to an absolute path without ".."' ;;
		/*) ;;
		*) fail 2 "HOME is \"$HOME\", which is not an absolute path" 'set CRONAGENT_INSTALL_DIR' ;;
		esac

		links=${CRONAGENT_LINKS:-yes}
		case $links in
		yes | no) ;;
		*) fail 2 "CRONAGENT_LINKS is \"$links\"" 'it is yes or no' ;;
		esac

		untouchable=''
		if [ -z "$app_dir" ]; then
			untouchable='this is not a build of the platform'
		elif [ -n "${PLATFORM_BRANCH:-}" ]; then
			untouchable='this is not a build, PLATFORM_BRANCH is set'
		elif [ -e "$app_dir/.git" ]; then
			untouchable="$app_dir is a git work tree, not the folder of a build"
		elif [ -n "${IS_DDEV_PROJECT:-}" ]; then
			untouchable='this is DDEV, which replays the hooks on a work tree'
		else
			# What is written there is read by a shell: no character that could mean something to it.
			case $app_dir$dir in
			*[!A-Za-z0-9._/-]*) untouchable="\"$dir\" has characters other than A-Z a-z 0-9 . _ / -" ;;
			"$app_dir$app_dir"/*) ;;
			*) untouchable="$dir is outside of $app_dir and will not be there at run time" ;;
			esac
		fi
	}

	install() {
		choose
		make_folder
		work=$(mktemp -d "$dir/.cronagent.XXXXXX") || die "cannot write to $dir" "$(write_hint)"

		was=installed
		if [ -f "$dir/cronagent" ] && [ -x "$dir/cronagent" ] && [ "$(sum_of "$dir/cronagent")" = "$binary_sum" ]; then
			was='already there:'
		else
			[ ! -d "$dir/cronagent" ] || die "$dir/cronagent is a folder" 'remove it, or set CRONAGENT_INSTALL_DIR'
			[ ! -e "$dir/cronagent" ] || is_our_binary "$dir/cronagent" ||
				die "$dir/cronagent is another program of that name" 'move it away, or set CRONAGENT_INSTALL_DIR'
			obtain
			chmod 755 "$work/cronagent"
			mv -f "$work/cronagent" "$dir/cronagent"
		fi
		made=''

		for name in platform upsun webpaas; do
			make_link "$name"
		done
		if [ -z "$untouchable" ]; then
			add_to_environment
			next="$app_dir/.environment adds it to PATH; the next line of the hook must be: ${dir#"$app_dir"/}/cronagent version"
		elif [ -n "$app_dir" ]; then
			next="warning: left .environment alone: $untouchable"
		else
			next="this is not a build of Platform.sh, Upsun or Web PaaS; try: $dir/cronagent version"
		fi
		say "$was cronagent $version (linux/$arch, sha256 verified) in $dir"
		say "$next"
	}

	# choose sets what to install and how, and refuses what cannot be verified before anything is downloaded:
	# arch, version, binary_sum, download_sum (empty: not known), base_url, protocols, vendor, hasher, loader.
	choose() {
		[ -n "$version" ] || die 'this install.sh is a source file: it knows no version and no checksums' \
			'make one that does: ./dist.sh VERSION --base-url https://HOST; then use dist/install.sh'

		machine="$(uname -s) $(uname -m)"
		case $machine in
		'Linux x86_64' | 'Linux amd64')
			arch=amd64 download_sum=$download_sum_amd64 binary_sum=$binary_sum_amd64
			;;
		'Linux aarch64' | 'Linux arm64')
			arch=arm64 download_sum=$download_sum_arm64 binary_sum=$binary_sum_arm64
			;;
		*) die "there is no cronagent for this machine: \"$machine\"" \
			'there are builds for Linux on x86_64 and on aarch64' ;;
		esac

		choose_sums
		choose_address
		choose_vendor
		hasher=$(first_of sha256sum shasum openssl) ||
			die 'there is no way to verify the download: no sha256sum, no shasum, no openssl' \
				'install one of them; nothing is installed unverified'
		loader=$(first_of curl wget) || die 'there is no way to download: no curl, no wget' 'install one of them'
	}

	choose_sums() {
		pin=$(printf %s "${CRONAGENT_SHA256:-}" | tr A-F a-f)
		[ -z "$pin" ] || is_sum "$pin" || fail 2 'CRONAGENT_SHA256 is not a sha256' 'it is 64 hexadecimal digits'
		if [ "${CRONAGENT_VERSION:-$version}" != "$version" ]; then
			case $CRONAGENT_VERSION in
			*[!A-Za-z0-9.-]*) fail 2 'CRONAGENT_VERSION is not a version' "this install.sh has $version built in" ;;
			esac
			[ -n "$pin" ] || fail 2 "this install.sh knows the checksums of $version, not those of $CRONAGENT_VERSION" \
				"set CRONAGENT_SHA256 to the sum of cronagent-$CRONAGENT_VERSION-linux-$arch in that version's SHA256SUMS, or unset CRONAGENT_VERSION"
			version=$CRONAGENT_VERSION download_sum='' binary_sum=$pin
		fi
		is_sum "$binary_sum" || die "this install.sh has no checksum for linux/$arch" \
			'nothing is installed unverified; fetch install.sh again'
		[ "${pin:-$binary_sum}" = "$binary_sum" ] ||
			die "CRONAGENT_SHA256 is $pin, but cronagent $version for linux/$arch has $binary_sum" \
				'is the pin that of another version or machine? CRONAGENT_VERSION pins the version too'
	}

	choose_address() {
		base_url=${CRONAGENT_BASE_URL:-$base_url}
		base_url=${base_url%/}
		# No "@": in http://127.0.0.1:80@evil.example the host is not the one that it seems to be.
		case $base_url in
		*[!][A-Za-z0-9._~:/%-]*) fail 2 "the base URL \"$base_url\" has characters that it must not have" \
			'it looks like https://HOST or https://HOST/FOLDER, without a password' ;;
		*://*.example | *://*.example/*) die "nobody has published this install.sh: $base_url is a placeholder" \
			'whoever publishes it runs: ./dist.sh VERSION --base-url https://HOST' ;;
		https://?*) protocols='=https' ;;
		http://127.0.0.1 | http://127.0.0.1[:/]* | http://localhost | http://localhost[:/]* | \
			'http://[::1]' | 'http://[::1]'[:/]*) protocols='=http,https' ;;
		*) fail 2 "the base URL \"$base_url\" is not https" 'plain http is for this machine only: http://127.0.0.1:PORT' ;;
		esac
	}

	# choose_vendor leaves vendor empty where the build does not say one that we know: a guess is not written down,
	# cronagent asks for CRONAGENT_VENDOR when it needs it.
	choose_vendor() {
		vendor=''
		case ${CRONAGENT_VENDOR:-}:${PLATFORM_VENDOR:-} in
		platformsh:* | upsun:* | webpaas:*) vendor=$CRONAGENT_VENDOR ;;
		?*:*) warn 'ignored CRONAGENT_VENDOR: it is none of platformsh, upsun, webpaas' ;;
		:platformsh | :platform | :platform.sh) vendor=platformsh ;;
		:upsun) vendor=upsun ;;
		:webpaas | :ovh | :ovhcloud) vendor=webpaas ;;
		esac
	}

	first_of() {
		for tool in "$@"; do
			if has "$tool"; then
				printf %s "$tool"
				return 0
			fi
		done
		return 1
	}

	is_sum() {
		case $1 in
		*[!0-9a-f]*) return 1 ;;
		esac
		[ ${#1} -eq 64 ]
	}

	# sum_of FILE gives it as standard input: sha256sum escapes strange file names.
	sum_of() {
		case $hasher in
		sha256sum) sum=$(sha256sum <"$1") ;;
		shasum) sum=$(shasum -a 256 <"$1") ;;
		openssl) sum=$(openssl dgst -sha256 -r <"$1") ;;
		esac
		printf %s "${sum%%[!0-9a-f]*}"
	}

	write_hint() {
		if [ -n "$app_dir" ] && [ -n "${PLATFORM_BRANCH:-}" ]; then
			printf %s 'the application is read-only at run time: install in the build hook'
		else
			printf %s 'set CRONAGENT_INSTALL_DIR to a folder that you may write to'
		fi
	}

	# In the topmost folder that make_folder had to make, so that --uninstall removes no other.
	folder_note=.cronagent-made

	make_folder() {
		topmost=''
		folder=$dir
		while [ ! -d "${folder:-/}" ]; do
			topmost=$folder
			folder=${folder%/*}
		done
		[ -n "$topmost" ] || return 0
		mkdir -p "$dir" || die "cannot make the folder $dir" "$(write_hint)"
		made=$topmost
		printf '%s\n' "$dir" >"$topmost/$folder_note"
	}

	# remove_folders removes what make_folder made for $dir, as far as it is empty.
	remove_folders() {
		topmost=$dir
		while [ "$(cat "$topmost/$folder_note" 2>/dev/null)" != "$dir" ]; do
			topmost=${topmost%/*}
			[ -n "$topmost" ] || return 0
		done
		rm -f "$topmost/$folder_note"
		folder=$dir
		while rmdir "$folder" 2>/dev/null && [ "$folder" != "$topmost" ]; do
			folder=${folder%/*}
		done
	}

	# obtain makes the verified binary $work/cronagent, from the cache of the builds or by a download.
	# Other branches write to that cache too, so it is our copy that is verified, never the cache.
	obtain() {
		file=cronagent-$version-linux-$arch.gz
		cached=''
		if [ -n "${PLATFORM_CACHE_DIR:-}" ] && [ -d "$PLATFORM_CACHE_DIR" ]; then
			cached=$PLATFORM_CACHE_DIR/cronagent/$file
			if [ -f "$cached" ] && cp "$cached" "$work/download" 2>/dev/null && unpack 2>/dev/null; then
				return 0
			fi
		fi

		rm -f "$work/download"
		fetch "$base_url/$file" "$work/download"
		unpack || die "$base_url/$file $problem; nothing was installed" \
			'it was damaged on its way or is not the published one; try again, and if it stays so tell whoever publishes it'
		[ -z "$cached" ] || keep ||
			warn "could not keep the download in $PLATFORM_CACHE_DIR; the next build downloads it again"
	}

	# unpack verifies $work/download, where its sum is known, before gzip reads it, and the binary always.
	# It says in $problem why it returned 1.
	unpack() {
		if [ -n "$download_sum" ]; then
			found=$(sum_of "$work/download")
			problem="has sha256 ${found:-unknown}, not $download_sum"
			[ "$found" = "$download_sum" ] || return 1
		fi
		problem='is not a gzip file'
		gzip -dc <"$work/download" >"$work/cronagent" || return 1
		found=$(sum_of "$work/cronagent")
		problem="holds a binary with sha256 ${found:-unknown}, not $binary_sum"
		[ "$found" = "$binary_sum" ]
	}

	# keep puts the verified download into the cache, in one move: other builds may be reading it.
	keep() {
		mkdir -p "$PLATFORM_CACHE_DIR/cronagent" 2>/dev/null || return 1
		[ ! -d "$cached" ] || return 1
		# Not named after our process id, which a build of another branch, in another container, may have too.
		part=$(mktemp "$cached.XXXXXX" 2>/dev/null) || return 1
		if cp "$work/download" "$part" 2>/dev/null && chmod 644 "$part" && mv -f "$part" "$cached"; then
			return 0
		fi
		rm -f "$part"
		return 1
	}

	# fetch URL FILE tries three times: a network that fails for a moment should not fail a build.
	# An answer of the server (curl's status 22, wget's 8) is final; curl itself repeats those that may pass.
	fetch() {
		attempt=1
		while :; do
			status=0
			download "$1" "$2" || status=$?
			[ "$status" -ne 0 ] || return 0
			if [ "$status" -eq 22 ] || [ "$status" -eq 8 ] || [ "$attempt" -ge 3 ]; then
				die "cannot download $1: $loader ended with status $status; nothing was installed" \
					'see whether that address answers; another one: CRONAGENT_BASE_URL'
			fi
			sleep "$attempt"
			attempt=$((attempt + 1))
		done
	}

	# download URL FILE runs in the background, because a shell that waits for a foreground command sees no signal
	# before that command ends.
	download() {
		case $loader in
		curl)
			curl --globoff --proto "$protocols" --tlsv1.2 -fsSL --retry 3 --connect-timeout 20 \
				--speed-limit 1000 --speed-time 30 -o "$2" "$1" &
			;;
		wget)
			# Some builds of busybox wget have no time limit.
			if wget --help 2>&1 | grep -q -e '-T'; then
				wget -q -T 30 -t 2 -O "$2" "$1" &
			else
				wget -q -O "$2" "$1" &
			fi
			;;
		esac
		child=$!
		ended=0
		wait "$child" || ended=$?
		child=''
		return "$ended"
	}

	# is_our_binary FILE: every version of ours holds the path of its module.
	is_our_binary() {
		grep -q 'github\.com/cronagent/cronagent' "$1" 2>/dev/null
	}

	# is_our_link PATH: a symbolic link to the cronagent beside it.
	is_our_link() {
		[ -L "$1" ] && [ "$(readlink "$1")" = cronagent ]
	}

	make_link() {
		link=$dir/$1
		if is_our_link "$link"; then
			[ "$links" = yes ] || rm -f "$link"
		elif [ "$links" = no ]; then
			:
		elif [ -e "$link" ] || [ -L "$link" ]; then
			warn "left $link alone: it is not a link to cronagent"
		elif [ -z "$app_dir" ] && has "$1"; then
			# In a container our folder is last in PATH and the real CLI wins. Elsewhere the order is not ours.
			warn "made no link $link: there is a command of that name"
		else
			ln -s cronagent "$link"
		fi
	}

	# The block in .environment. Its first line also says how to take it out again without a trace: whether the file
	# ended without a line end, which we added, and whether there was no file at all.
	mark_begin='# BEGIN cronagent'
	mark_end='# END cronagent'
	line_added=', after adding a line end'
	file_added=', in a new file'
	block_in_sed='/^# BEGIN cronagent\(, .*\)\{0,1\}$/,/^# END cronagent$/'

	# environment_lines prints the block but for its first line. A vendor that the project sets at run time wins.
	environment_lines() {
		printf '%s\n' "case \":\$PATH:\" in *\":$dir:\"*) ;; *) export PATH=\"\$PATH:$dir\" ;; esac"
		[ -z "$vendor" ] || printf '%s\n' "export CRONAGENT_VENDOR=\"\${CRONAGENT_VENDOR:-$vendor}\""
		printf '%s\n' "$mark_end"
	}

	# read_environment sets environment, the file itself if .environment is a link, and block: empty for none.
	read_environment() {
		environment=$app_dir/.environment
		[ ! -L "$environment" ] || environment=$(readlink -f "$environment")
		block=''
		[ -e "$environment" ] || return 0
		if [ ! -f "$environment" ] || [ ! -r "$environment" ]; then
			die "$environment is not a file that can be read"
		fi
		block=$(sed -n "${block_in_sed}p" "$environment")
		begins=$(grep -c -e "^$mark_begin\(, .*\)\{0,1\}\$" "$environment") || :
		ends=$(grep -c -e "^$mark_end\$" "$environment") || :
		case $begins:$block in
		0:) [ "$ends" = 0 ] && return 0 ;;
		"$ends:"*"$mark_end") return 0 ;;
		esac
		die "$environment: the lines \"$mark_begin\" and \"$mark_end\" do not come in pairs" \
			'remove what is left of the block between them, then run this again'
	}

	# environment_without_block prints the file as it was before the block came.
	environment_without_block() {
		case $block:$(tail -n 1 "$environment") in
		"$mark_begin$line_added"*":$mark_end")
			# The line end that we added is the only one at the end: $(...) drops it.
			printf %s "$(sed "${block_in_sed}d" "$environment")"
			;;
		*) sed "${block_in_sed}d" "$environment" ;;
		esac
	}

	add_to_environment() {
		read_environment
		lines=$(environment_lines)
		[ "$(printf '%s\n' "$block" | sed 1d)" != "$lines" ] || return 0

		new=$work/environment
		note=$file_added
		if [ -e "$environment" ]; then
			cp -p "$environment" "$new"
			[ -z "$block" ] || environment_without_block >"$new"
			case $block in
			"$mark_begin$file_added"*) [ ! -s "$new" ] || note='' ;;
			*) note='' ;;
			esac
			if [ -n "$(tail -c 1 "$new")" ]; then
				note=$line_added
				printf '\n' >>"$new"
			fi
		fi
		printf '%s\n' "$mark_begin$note" "$lines" >>"$new"
		mv -f "$new" "$environment"
	}

	remove_from_environment() {
		read_environment
		[ -n "$block" ] || return 0
		work=$(mktemp -d "$app_dir/.cronagent.XXXXXX") || die "cannot write to $app_dir" "$(write_hint)"
		new=$work/environment
		cp -p "$environment" "$new"
		environment_without_block >"$new"
		case $block in
		"$mark_begin$file_added"*) [ -s "$new" ] || rm -f "$environment" ;;
		esac
		[ ! -e "$environment" ] || mv -f "$new" "$environment"
		removed="$removed, the block in .environment"
	}

	# remove NAME in $dir.
	remove() {
		rm -f "$dir/$1" || die "cannot remove $dir/$1" "$(write_hint)"
		removed="$removed, $1"
	}

	uninstall() {
		removed=''
		for name in platform upsun webpaas; do
			if is_our_link "$dir/$name"; then remove "$name"; fi
		done
		# A link of this name was made by somebody else.
		if [ -f "$dir/cronagent" ] && [ ! -L "$dir/cronagent" ]; then
			if is_our_binary "$dir/cronagent"; then
				remove cronagent
			else
				warn "left $dir/cronagent alone: it is another program of that name"
			fi
		fi
		if [ -z "$untouchable" ]; then remove_from_environment; fi
		if [ -n "${PLATFORM_CACHE_DIR:-}" ] && [ -n "$version" ]; then
			rm -f "$PLATFORM_CACHE_DIR/cronagent/cronagent-$version-linux-"*.gz
			rmdir "$PLATFORM_CACHE_DIR/cronagent" 2>/dev/null || :
		fi
		remove_folders
		if [ -n "$removed" ]; then
			say "removed from $dir: ${removed#, }"
		else
			say "nothing to remove: cronagent is not in $dir"
		fi
	}

	# Proof for main that its line below arrived whole, and was not cut off after the name.
	set -- whole "$@"
}
main "$@"
