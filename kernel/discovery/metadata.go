package discovery

import "strconv"

// What an instance of the platform says about itself in its metadata.
const (
	// MetadataStarted is when the instance became ready: RFC 3339, UTC. For people who look at it.
	MetadataStarted = "started"
	// MetadataDependsOn names the services that its manifest depends on, separated by commas. For people, too.
	MetadataDependsOn = "dependsOn"
	// MetadataZone is where the instance runs, such as a data centre; callers prefer instances of their own zone.
	MetadataZone = "zone"
	// MetadataWeight is the share of what is sent to the service, beside those of its other instances: a number from
	// 0, which gets nothing, to MaxWeight.
	MetadataWeight = "weight"
	// MetadataOps is where its operations listener is: host and port, which may be of the loopback interface.
	MetadataOps = "ops"
)

// Weights of instances.
const (
	DefaultWeight = 100
	MaxWeight     = 10_000
)

// Zone is where the instance runs; empty where it does not say.
func (i Instance) Zone() string { return i.Metadata[MetadataZone] }

// Weight is the share of what is sent to the service that the instance asks for; DefaultWeight where it does not say, or
// what it says makes no sense.
func (i Instance) Weight() int {
	text, ok := i.Metadata[MetadataWeight]
	if !ok {
		return DefaultWeight
	}
	weight, err := strconv.Atoi(text)
	if err != nil || weight < 0 || weight > MaxWeight {
		return DefaultWeight
	}
	return weight
}
