package main

import (
	"errors"
	"fmt"
	"os"

	"ariga.io/atlas/sql/migrate"
	"ariga.io/atlas/sql/sqltool"
)

type hashCommand struct {
	Folders []string `arg:"" name:"folder" help:"Folders of services."`
}

func (c *hashCommand) Run() error {
	for _, folder := range c.Folders {
		s, err := openService(folder)
		if err != nil {
			return err
		}
		for _, name := range dialects {
			if err := hash(s.migrations(name)); err != nil {
				return fmt.Errorf("%s: %w", s.migrations(name), err)
			}
		}
	}
	return nil
}

// hash writes the checksums of one folder, if it is there.
func hash(folder string) error {
	if _, err := os.Stat(folder); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	dir, err := sqltool.NewGooseDir(folder)
	if err != nil {
		return err
	}
	sum, err := dir.Checksum()
	if err != nil {
		return err
	}
	return migrate.WriteSumFile(dir, sum)
}
