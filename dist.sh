#!/bin/sh
# dist.sh makes the folder that is a complete download site once a static web server serves it: the binaries for
# linux/amd64 and linux/arm64, compressed too, the manual pages, their checksums, install.sh with version, address and
# checksums written into it, and the examples. docs/publishing.md says what to do with it.
#
# The same sources, version, Go and gzip give the same bytes, in whatever folder they are.
set -eu
LC_ALL=C
export LC_ALL
umask 022

usage() {
	cat <<-EOF
		./dist.sh VERSION [--base-url URL] [--out DIR]

		  VERSION         1.2.3 or 1.2.3-rc.1, or the same after a "v"; what "cronagent version" says
		  --base-url URL  where DIR will be served, for example https://downloads.example.org/cronagent
		  --out DIR       default dist; replaced if it is there and was made by dist.sh
	EOF
}

say() {
	printf 'cronagent: %s\n' "$1" >&2
}

# fail STATUS ERROR [HINT]
fail() {
	say "error: dist.sh: $2"
	[ -z "${3:-}" ] || say "hint: $3"
	exit "$1"
}

# matches TEXT REGEXP: all of the text, which must be one line.
matches() {
	[ "$(printf '%s\n' "$1" | wc -l)" -eq 1 ] && printf '%s\n' "$1" | grep -Eqx -e "$2"
}

# release_value NAME reads a line of release() in the source install.sh.
release_value() {
	sed -n "s/^		$1='\(.*\)'\$/\1/p" install.sh
}

# sum FILE
sum() {
	found=$(sha256sum <"$1")
	printf %s "${found%% *}"
}

# write NAME VALUE into the new install.sh. The values are checked: none has a character that sed or sh reads.
write() {
	sed "s|^		$1='.*'\$|		$1='$2'|" "$work/install.sh" >"$work/.next"
	mv -f "$work/.next" "$work/install.sh"
	[ "$(grep -cx "		$1='$2'" "$work/install.sh")" -eq 1 ] ||
		fail 1 "install.sh has no single line $1='...' to write to" 'restore the function release() in install.sh'
}

version='' base_url='' out=dist
while [ $# -gt 0 ]; do
	case $1 in
	-h | --help)
		usage
		exit 0
		;;
	--base-url | --out)
		[ -n "${2:-}" ] || fail 2 "$1 needs a value" 'try: ./dist.sh --help'
		if [ "$1" = --out ]; then out=$2; else base_url=${2%/}; fi
		shift
		;;
	-*) fail 2 "unknown option \"$1\"" 'try: ./dist.sh --help' ;;
	*)
		[ -z "$version" ] || fail 2 "more than one version: \"$version\" and \"$1\"" 'try: ./dist.sh --help'
		version=$1
		[ -n "$version" ] || fail 2 'the version is empty' 'try: ./dist.sh 1.2.3'
		;;
	esac
	shift
done

[ -n "$version" ] || fail 2 'no version given' 'try: ./dist.sh 1.2.3 --base-url https://HOST'
number='(0|[1-9][0-9]*)'
matches "$version" "v?$number\\.$number\\.$number(-[0-9A-Za-z-]+(\\.[0-9A-Za-z-]+)*)?" ||
	fail 2 "\"$version\" is not a version" 'three numbers, and what is before a release after a dash: 1.2.3, v1.2.3-rc.1'
if [ -n "$base_url" ]; then
	matches "$base_url" 'https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?' ||
		matches "$base_url" 'http://(127\.0\.0\.1|localhost)(:[0-9]+)?(/[A-Za-z0-9._~/-]*)?' ||
		fail 2 "--base-url \"$base_url\" is not an address that install.sh downloads from" \
			'https://HOST or https://HOST/FOLDER; plain http only for 127.0.0.1 and localhost'
fi
for tool in go gzip sha256sum tar; do
	command -v "$tool" >/dev/null 2>&1 || fail 1 "the command \"$tool\" is missing" 'install it, or add its folder to PATH'
done

case $out in
/*) ;;
*) out=$PWD/$out ;;
esac
out=${out%/}
# What is replaced must be ours to the last file.
if [ -e "$out" ]; then
	[ -d "$out" ] || fail 1 "$out is not a folder" 'name another one: --out DIR'
	for file in "$out"/* "$out"/.[!.]* "$out"/man/* "$out"/man/man1/*; do
		case ${file#"$out/"} in
		cronagent-*-linux-amd64* | cronagent-*-linux-arm64* | SHA256SUMS | install.sh | examples | '*' | '.[!.]*') ;;
		cronagent-*-man.tar.gz | man | man/man1 | man/man1/cronagent.1 | man/man1/cronagent-*.1 | 'man/*' | 'man/man1/*') ;;
		*) fail 1 "$out holds \"${file#"$out/"}\", which dist.sh did not make" 'remove the folder or name another one: --out DIR' ;;
		esac
	done
fi
mkdir -p "${out%/*}"

root=$(dirname -- "$0")
cd -- "$root"
work=$(mktemp -d "${out%/*}/.dist.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

cp install.sh "$work/install.sh"
write version "$version"
for arch in amd64 arm64; do
	name=cronagent-$version-linux-$arch
	# What these variables may hold on the machine that builds would change the bytes.
	# The tag leaves HTTP/2 out of net/http, which we do not speak: half a megabyte.
	CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOAMD64=v1 GOARM64=v8.0 GOFLAGS='' GOEXPERIMENT='' GOWORK=off \
		go build -tags nethttpomithttp2 -trimpath -buildvcs=false -ldflags "-s -w -buildid= -X main.version=$version" \
		-o "$work/$name" ./cmd/cronagent
	# gzip, because every container has it; xz saves a quarter more. -n: no time and no name in the file.
	gzip -9 -n -c "$work/$name" >"$work/$name.gz"
	write "binary_sum_$arch" "$(sum "$work/$name")"
	write "download_sum_$arch" "$(sum "$work/$name.gz")"
done

# The manual pages, made by the same sources with another tag, so that the binaries do not carry what makes them.
CGO_ENABLED=0 GOOS='' GOARCH='' GOFLAGS='' GOEXPERIMENT='' GOWORK=off \
	go run -tags man,nethttpomithttp2 -trimpath -ldflags "-X main.version=$version" ./cmd/cronagent "$work/man/man1"
tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -C "$work" -cf "$work/.man.tar" man
gzip -9 -n -c "$work/.man.tar" >"$work/cronagent-$version-man.tar.gz"
rm "$work/.man.tar"

default_url=$(release_value base_url)
[ -z "$base_url" ] || write base_url "$base_url"
pattern=$(printf %s "$default_url" | sed 's/\./\\./g')
mkdir "$work/examples"
for file in examples/* examples/.[!.]*; do
	case $file in
	# The Go file beside them embeds them into the binary.
	*.go | 'examples/*' | 'examples/.[!.]*') ;;
	*) sed "s|$pattern|${base_url:-$default_url}|g" "$file" >"$work/$file" ;;
	esac
done
chmod 755 "$work" "$work/install.sh"
(cd "$work" && sha256sum cronagent-* install.sh >SHA256SUMS)

rm -rf "$out"
mv "$work" "$out"
say "made $out: cronagent $version for linux/amd64 and linux/arm64"
if [ -n "$base_url" ]; then
	say "serve it at $base_url, then: curl -fsS $base_url/install.sh | sh"
else
	say "warning: NOT READY TO PUBLISH: install.sh still has the placeholder $default_url and refuses to download from it"
	say 'hint: run this again with the address where you will serve the folder: --base-url https://HOST'
fi
