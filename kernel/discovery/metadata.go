package discovery

// What an instance of the platform says about itself in its metadata, for people who look at it.
const (
	// MetadataStarted is when the instance became ready: RFC 3339, UTC.
	MetadataStarted = "started"
	// MetadataDependsOn names the services that its manifest depends on, separated by commas.
	MetadataDependsOn = "dependsOn"
	// MetadataOps is where its operations listener is: host and port, which may be of the loopback interface.
	MetadataOps = "ops"
)
