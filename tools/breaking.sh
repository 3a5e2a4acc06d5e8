#!/bin/sh
# Checks that the schemas still read what they wrote before: breaking.sh [COMMIT]. Without a commit it takes what
# origin/main and HEAD have in common, or the commit before HEAD where that is HEAD itself. The schemas that ours import
# are taken from now, because they are not in git.
set -eu

against=${1-}
if [ -n "$against" ]; then
	git rev-parse --quiet --verify "$against^{commit}" >/dev/null || {
		echo "buf breaking: there is no commit $against" >&2
		exit 1
	}
else
	if [ "$(git rev-parse --is-shallow-repository)" = true ]; then
		# What was cut off may be had from where the clone came from.
		git fetch --quiet --unshallow || echo "buf breaking: this clone is shallow, and its history cannot be fetched" >&2
	fi
	against=$(git merge-base origin/main HEAD 2>/dev/null || true)
	if [ -z "$against" ] || [ "$against" = "$(git rev-parse --verify --quiet HEAD)" ]; then
		against=$(git rev-parse --verify --quiet HEAD~1 || true)
	fi
	if [ -z "$against" ]; then
		echo "buf breaking: skipped, there is no older commit to compare with"
		exit 0
	fi
fi
if ! git cat-file -e "$against:proto" 2>/dev/null || ! git cat-file -e "$against:buf.yaml" 2>/dev/null; then
	echo "buf breaking: skipped, there were no schemas in $against"
	exit 0
fi

old=$(mktemp -d)
trap 'rm -rf "$old"' EXIT
git archive "$against" proto buf.yaml | tar -x -C "$old"
mkdir "$old/.bin"
cp -R .bin/proto "$old/.bin/proto"
.bin/buf build "$old" -o "$old/old.binpb"
.bin/buf build -o "$old/new.binpb"
echo "buf breaking: proto/ against $against"
.bin/buf breaking "$old/new.binpb" --against "$old/old.binpb" --config buf.yaml
