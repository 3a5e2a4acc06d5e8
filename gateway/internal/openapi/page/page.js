// Shows the document of this gateway, and of no other: addresses in the page's own address are not looked at.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#page",
  deepLinking: true,
  docExpansion: "none",
  tryItOutEnabled: true,
  validatorUrl: null, // it would send the document to somebody else
  queryConfigEnabled: false,
  persistAuthorization: false, // a token is not kept where the next person finds it
});
