package client

import (
	"errors"

	"ashlar.dev/platformctl/exit"
)

// WhereFlags are what commands have in common that are about an organization, or about the platform as a whole.
type WhereFlags struct {
	Org        string `help:"Id of the organization; that of the profile where not set (platformctl orgs use)." env:"ASHLAR_ORG" placeholder:"ORG" predictor:"org"`
	Everywhere bool   `help:"Not in one organization but everywhere."`
}

// Where returns the id of the organization; empty means everywhere, and has to be said: it is too much to be a default.
func (f WhereFlags) Where(c *Connection) (string, error) {
	switch organization := c.Organization(f.Org); {
	case f.Everywhere:
		return "", nil
	case organization == "":
		return "", exit.With(exit.Usage, errors.New("say where: --org ORG, or --everywhere; platformctl orgs use ORG remembers one"))
	default:
		return organization, nil
	}
}

// OrgFlag is the flag of commands that are about one organization.
type OrgFlag struct {
	Org string `help:"Id of the organization; that of the profile where not set (platformctl orgs use)." env:"ASHLAR_ORG" placeholder:"ORG" predictor:"org"`
}

// Organization returns the id of the organization.
func (f OrgFlag) Organization(c *Connection) (string, error) { return Named(c, f.Org) }

// Named returns the id of the organization that a command names, or that of the profile.
func Named(c *Connection, named string) (string, error) {
	if organization := c.Organization(named); organization != "" {
		return organization, nil
	}
	return "", exit.With(exit.Usage, errors.New("say which organization; platformctl orgs use ORG remembers one"))
}
