#!/usr/bin/env bash
# Does what docs/new-service.md promises, in a clone that is thrown away: one command writes a service, `gen` and `up`,
# and one curl gives an answer that permissions decide about, and that is on the record. It prints how long each step
# took. Tools and node_modules are taken from here, so everything is built but the new service.
#
#   tools/newservice.sh           the commands and the curl
#   tools/newservice.sh --check   then also lint of what was written, its tests, and that nothing else was changed
set -Eeuo pipefail
trap 'echo "newservice: line $LINENO failed: $BASH_COMMAND" >&2' ERR
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
check=${1-}

work=$(mktemp -d)
clone=$work/repository
export ASHLAR_HOME=$work/home
cleanup() {
	local code=$?
	if [ -d "$ASHLAR_HOME" ] && [ -x "$clone/.bin/platformctl" ]; then
		if [ "$code" -ne 0 ]; then
			tail -n 40 "$ASHLAR_HOME"/logs/*.log >&2 || true
		fi
		"$clone/.bin/platformctl" down >/dev/null || true
	fi
	rm -rf "$work"
	exit "$code"
}
trap cleanup EXIT

for program in curl jq git go; do
	command -v "$program" >/dev/null || {
		echo "newservice: $program is not on PATH" >&2
		exit 1
	}
done
fail() {
	echo "newservice: $*" >&2
	exit 1
}

# What is committed; a shallow clone can be cloned, too.
git clone --quiet "file://$root" "$clone"
cp -a .bin "$clone/.bin"
if [ -d .task ]; then cp -a .task "$clone/.task"; fi
if [ -d tools/ts/node_modules ]; then cp -a tools/ts/node_modules "$clone/tools/ts/node_modules"; fi
cd "$clone"
export ASHLAR_ADMIN_EMAIL=admin@example.com
unset ASHLAR_CONSUL_ADDR CONSUL_HTTP_ADDR ASHLAR_ADMIN_PASSWORD
export ASHLAR_GATEWAY_ADDR=127.0.0.1:0 # any free port
# call RPC BODY [TOKEN]: neither a password nor a token is an argument of a program, which everybody on the machine can read.
call() {
	curl --silent --show-error --max-time 60 --header 'Content-Type: application/json' \
		--header @<(if [ -n "${3-}" ]; then printf 'Authorization: Bearer %s\n' "$3"; fi) --data @- "$gateway/$1" < <(printf %s "$2")
}

now() { date +%s%N; }
began=$(now)
report=
# step NAME COMMAND… runs a command and remembers how long it took.
step() {
	local name=$1 from
	from=$(now)
	shift
	echo "+ $*"
	"$@"
	report+=$(printf '%-12s %5d ms' "$name" $((($(now) - from) / 1000000)))$'\n'
}

echo "everything built, from here on:"
./taskw build TARGETS='consul services' >/dev/null
# The program that task gen runs from its source is another than the one that was just built.
go build ./platformctl/... ./gen/go/...
began=$(now)
step "new service" .bin/platformctl new service orders --resource order
step gen ./taskw gen
up() { ./taskw up -- -d >"$work/up"; }
step up up
cat "$work/up"

from=$(now)
gateway=$(sed -nE 's/^ +Gateway +(http.*)$/\1/p' "$work/up")
admin=$(call ashlar.auth.v1.AuthService/Login "$(jq -n --rawfile password "$ASHLAR_HOME/admin-password" \
	'{email: "admin@example.com", password: $password | rtrimstr("\n")}')" | jq --raw-output --exit-status .tokens.accessToken)
organization=$(call ashlar.identity.v1.OrganizationService/CreateOrganization '{"displayName": "Acme"}' "$admin" |
	jq --raw-output --exit-status .organization.id)
bob='{"email": "bob@example.com", "password": "correct horse battery staple", "displayName": "Bob"}'
call ashlar.auth.v1.AuthService/SignUp "$bob" >/dev/null
bob=$(call ashlar.auth.v1.AuthService/Login "$(jq 'del(.displayName)' <<<"$bob")" | jq --raw-output --exit-status .tokens.accessToken)
user=$(call ashlar.auth.v1.AuthService/WhoAmI '{}' "$bob" | jq --raw-output --exit-status .userId)

order=$(jq -n --arg organization "$organization" '{organizationId: $organization, displayName: "Ten stones"}')
refused=$(call acme.orders.v1.OrderService/CreateOrder "$order" "$bob")
jq --exit-status '.code == "permission_denied"' <<<"$refused" >/dev/null || fail "Bob was not refused: $refused"
call ashlar.authz.v1.GrantService/GrantRole "$(jq -n --arg user "$user" --arg organization "$organization" \
	'{userId: $user, role: "orders.editor", organizationId: $organization}')" "$admin" |
	jq --exit-status .grant.id >/dev/null || fail "the role could not be granted"
created=$(call acme.orders.v1.OrderService/CreateOrder "$order" "$bob")
id=$(jq --raw-output --exit-status .order.id <<<"$created") || fail "Bob could not create an order: $created"
report+=$(printf '%-12s %5d ms' "curl" $((($(now) - from) / 1000000)))$'\n'
total=$((($(now) - began) / 1000000))

# Events arrive within moments, not at once.
deadline=$((SECONDS + 60))
while [ "$SECONDS" -lt "$deadline" ]; do
	events=$(call ashlar.audit.v1.AuditService/QueryEvents "$(jq -n --arg id "$id" '{resource: $id}')" "$admin")
	if jq --exit-status --arg user "$user" '.events[]? | select(.action == "order.create" and .actor.id == $user)' <<<"$events" >/dev/null; then
		recorded=yes
		break
	fi
	sleep 0.1
done
[ "${recorded-}" = yes ] || fail "the record does not have the order: $events"

printf '\nrefused without the role, allowed with it, on the record: %s\n\n%s%-12s %5d ms\n' "$id" "$report" total "$total"

if [ "$check" = --check ]; then
	.bin/platformctl down >/dev/null
	.bin/platformctl new service procurement --resource purchase_order --package acme.buying.procurement.v1beta1 --description 'Buys: "everything"' >/dev/null
	./taskw gen >/dev/null
	for module in services/orders services/procurement dev; do
		(cd "$module" && GOWORK=off go mod tidy -diff) || fail "$module is not tidy"
	done
	.bin/ashlar-ent diff --check services/orders services/procurement
	.bin/build golangci
	.bin/golangci-lint run --allow-parallel-runners ./services/orders/... ./services/procurement/... ./dev/...
	go test ./services/orders/... ./services/procurement/... ./dev/...
	./taskw proto:lint
	left=$(git status --porcelain --untracked-files=all | grep -vE '^(\?\?| M) (services/(orders|procurement)/|proto/acme/|gen/|go\.work$|dev/)' || true)
	[ -z "$left" ] || fail "something else was changed: $left"
fi
