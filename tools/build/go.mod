module ashlar.dev/tools/build

go 1.26.0
