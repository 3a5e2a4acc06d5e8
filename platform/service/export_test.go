package service

// OpsAddress is where the operations listener is bound. It must only be called after that has started.
func (s *Service) OpsAddress() string { return s.ops.Address() }
