package schema

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	authv1 "ashlar.dev/gen/go/ashlar/auth/v1"
	identityv1 "ashlar.dev/gen/go/ashlar/identity/v1"
)

// of returns the schema of some services of files.
func of(t testing.TB, files ...protoreflect.FileDescriptor) *Schema {
	t.Helper()
	set, have := &descriptorpb.FileDescriptorSet{}, map[string]bool{}
	var services []protoreflect.FullName
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		if have[file.Path()] {
			return
		}
		have[file.Path()] = true
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
	}
	for _, file := range files {
		add(file)
		for i := range file.Services().Len() {
			services = append(services, file.Services().Get(i).FullName())
		}
	}
	s, err := build(set, services)
	require.NoError(t, err)
	return s
}

func core(t testing.TB) *Schema {
	return of(t, identityv1.File_ashlar_identity_v1_user_proto, identityv1.File_ashlar_identity_v1_organization_proto,
		authv1.File_ashlar_auth_v1_auth_proto)
}

func TestFind(t *testing.T) {
	t.Parallel()
	s := core(t)
	for name, want := range map[string]string{
		"ashlar.identity.v1.UserService/GetUser":  "ashlar.identity.v1.UserService/GetUser",
		"/ashlar.identity.v1.UserService/GetUser": "ashlar.identity.v1.UserService/GetUser",
		"ashlar.identity.v1.UserService.GetUser":  "ashlar.identity.v1.UserService/GetUser",
		"UserService/GetUser":                     "ashlar.identity.v1.UserService/GetUser",
		"v1.UserService.GetUser":                  "ashlar.identity.v1.UserService/GetUser",
		"GetUser":                                 "ashlar.identity.v1.UserService/GetUser",
		"WhoAmI":                                  "ashlar.auth.v1.AuthService/WhoAmI",
	} {
		m, err := s.Find(name)
		require.NoError(t, err, name)
		require.Equal(t, want, Name(m), name)
	}
	for name, like := range map[string]string{
		"GetUsr":                       "ashlar.identity.v1.UserService/GetUser",
		"whoami":                       "ashlar.auth.v1.AuthService/WhoAmI",
		"UserServise/GetUser":          "ashlar.identity.v1.UserService/GetUser",
		"ashlar.auth.v1.AuthServ/Logn": "ashlar.auth.v1.AuthService/Login",
		"member":                       "ashlar.identity.v1.OrganizationService/AddMember",
		"":                             "",
		"/":                            "",
		"xyzzyxyzzyxyzzy":              "",
	} {
		_, err := s.Find(name)
		var unknown *UnknownError
		require.ErrorAs(t, err, &unknown, name)
		require.False(t, unknown.Ambiguous, name)
		if like != "" {
			require.Contains(t, unknown.Candidates, like, name)
		}
		require.LessOrEqual(t, len(unknown.Candidates), maxSuggestions)
	}
}

func TestFindAmbiguous(t *testing.T) {
	t.Parallel()
	user := protodesc.ToFileDescriptorProto(identityv1.File_ashlar_identity_v1_user_proto)
	other, ok := proto.Clone(user).(*descriptorpb.FileDescriptorProto)
	require.True(t, ok)
	other.Name, other.Package = new("acme/user.proto"), new("acme.v1")
	for _, message := range other.GetMessageType() {
		for _, field := range message.GetField() {
			field.TypeName = rename(field.TypeName)
		}
	}
	for _, method := range other.GetService()[0].GetMethod() {
		method.InputType, method.OutputType = rename(method.InputType), rename(method.OutputType)
	}
	set := &descriptorpb.FileDescriptorSet{}
	have := map[string]bool{}
	var add func(protoreflect.FileDescriptor)
	add = func(file protoreflect.FileDescriptor) {
		for i := range file.Imports().Len() {
			add(file.Imports().Get(i).FileDescriptor)
		}
		if !have[file.Path()] {
			have[file.Path()] = true
			set.File = append(set.File, protodesc.ToFileDescriptorProto(file))
		}
	}
	add(identityv1.File_ashlar_identity_v1_user_proto)
	set.File = append(set.File, other)
	s, err := build(set, []protoreflect.FullName{"ashlar.identity.v1.UserService", "acme.v1.UserService"})
	require.NoError(t, err)
	_, err = s.Find("GetUser")
	var unknown *UnknownError
	require.ErrorAs(t, err, &unknown)
	require.True(t, unknown.Ambiguous)
	require.Equal(t, []string{"acme.v1.UserService/GetUser", "ashlar.identity.v1.UserService/GetUser"}, unknown.Candidates)
	_, err = s.Find("acme.v1.UserService/GetUser")
	require.NoError(t, err)
}

func rename(name *string) *string {
	if name == nil {
		return nil
	}
	return new(strings.Replace(*name, ".ashlar.identity.v1.", ".acme.v1.", 1))
}

func TestDistance(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "ab", 2}, {"kitten", "sitting", 3}, {"flaw", "lawn", 2}, {"same", "same", 0}} {
		require.Equal(t, test.want, distance(test.a, test.b), test)
		require.Equal(t, test.want, distance(test.b, test.a), test)
	}
}

func TestSecret(t *testing.T) {
	t.Parallel()
	require.Equal(t, "password", Secret((&authv1.LoginRequest{Email: "a", Password: "b"}).ProtoReflect()))
	require.Empty(t, Secret((&authv1.LoginRequest{Email: "a"}).ProtoReflect()))
	inside := &authv1.LoginResponse{Outcome: &authv1.LoginResponse_Tokens{Tokens: &authv1.Tokens{AccessToken: "x"}}}
	require.Equal(t, "tokens.access_token", Secret(inside.ProtoReflect()))
}

func FuzzFind(f *testing.F) {
	s := core(f)
	f.Add("ashlar.identity.v1.UserService/GetUser")
	f.Add("GetUsr")
	f.Add("/../x.y/\x00")
	f.Fuzz(func(t *testing.T, name string) {
		m, err := s.Find(name)
		if unknown, ok := errors.AsType[*UnknownError](err); ok {
			_ = unknown.Error()
			return
		}
		require.NoError(t, err)
		require.True(t, strings.HasSuffix(dotted(Name(m)), dotted(name)))
	})
}
