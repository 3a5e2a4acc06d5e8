package local

// Commands are the commands of this package.
type Commands struct {
	Up   Up   `cmd:"" help:"Start Consul, the services and the gateway, and keep them running until Ctrl-C."`
	Down Down `cmd:"" help:"Stop what up started on the same home folder, also in the background."`
}

// HomeFlag is common to all commands that work on a home folder.
type HomeFlag struct {
	Home string `help:"Folder of everything that is kept: databases, keys, logs; .ashlar where not set (${env})." env:"ASHLAR_HOME" default:".ashlar" placeholder:"DIR"`
}
