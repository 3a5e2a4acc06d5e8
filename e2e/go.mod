module ashlar.dev/e2e

go 1.26.0

require (
	ashlar.dev/gen v0.0.0
	ashlar.dev/kernel v0.0.0
	github.com/stretchr/testify v1.12.1
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261026165753-2ffab32bce7e
	google.golang.org/protobuf v1.36.12
)

require (
	buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go v1.36.12-20260825204119-511051f7f437.2 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace (
	ashlar.dev/gen => ../gen
	ashlar.dev/kernel => ../kernel
)
