// What runs in the browser: somebody signs up and in, asks who they are, and is refused something; over Connect, over
// gRPC-Web, and with the tokens in cookies. The page shows what came of it, and tells the server that it came from.
import { AuthService } from "@ashlar/client/ashlar/auth/v1/auth";
import { OrganizationService } from "@ashlar/client/ashlar/identity/v1/organization";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-web";
import { ErrorInfoSchema } from "@ashlar/client/google/rpc/error_details";

type Outcome = {
  email?: string;
  whoAmI?: string;
  code?: string;
  reason?: string;
  permission?: string;
  failure?: string;
};

type Headers = { Authorization: string } | undefined;

// signIn keeps the tokens in cookies, or returns the header that carries one.
async function signIn(transport: Transport, email: string, password: string, sessionCookies: boolean): Promise<Headers> {
  const auth = createClient(AuthService, transport);
  const { outcome } = await auth.login({ email, password, sessionCookies });
  if (!sessionCookies) {
    return { Authorization: `Bearer ${outcome.value?.accessToken}` };
  }
  if (outcome.value?.accessToken !== "" || outcome.value.refreshToken !== "" || document.cookie !== "") {
    throw new Error("a script can see a token");
  }
  await auth.refresh({});
  return undefined;
}

async function tryOut(transport: Transport, sessionCookies = false): Promise<Outcome> {
  const auth = createClient(AuthService, transport);
  const organizations = createClient(OrganizationService, transport);
  const email = `${crypto.randomUUID()}@example.com`;
  const password = "correct horse battery staple";
  await auth.signUp({ email, password, displayName: "Bob" });
  const headers = await signIn(transport, email, password, sessionCookies);
  const me = await auth.whoAmI({}, { headers });
  try {
    await organizations.getOrganization({ organizationId: "org_00000000000000000000000000" }, { headers });
  } catch (reason) {
    const error = ConnectError.from(reason);
    const info = error.findDetails(ErrorInfoSchema).at(0);
    return {
      email,
      whoAmI: me.email,
      code: Code[error.code],
      reason: info?.reason,
      permission: info?.metadata["permission"],
    };
  }
  return { failure: "nothing was refused" };
}

async function outcomeOf(transport: Transport, sessionCookies = false): Promise<Outcome> {
  try {
    return await tryOut(transport, sessionCookies);
  } catch (reason) {
    const error = ConnectError.from(reason);
    return { code: Code[error.code], failure: error.message };
  }
}

const baseUrl = new URLSearchParams(location.search).get("gateway") ?? "";
const outcomes = {
  connect: await outcomeOf(createConnectTransport({ baseUrl })),
  connectGet: await outcomeOf(createConnectTransport({ baseUrl, useHttpGet: true })),
  grpcWeb: await outcomeOf(createGrpcWebTransport({ baseUrl })),
  cookies: await outcomeOf(
    createConnectTransport({ baseUrl, fetch: (input, init) => fetch(input, { ...init, credentials: "include" }) }),
    true,
  ),
};
document.body.textContent = JSON.stringify(outcomes);
await fetch("/outcomes", { method: "POST", body: JSON.stringify(outcomes) });
