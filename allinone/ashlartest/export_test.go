package ashlartest

import "time"

// AgeAdministrator makes the administrator's token older.
func (p *Platform) AgeAdministrator(by time.Duration) {
	p.admin.Lock()
	defer p.admin.Unlock()
	p.admin.person.signedIn = p.admin.person.signedIn.Add(-by)
}
