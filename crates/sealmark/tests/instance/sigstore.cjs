// Signs and verifies with Sigstore's packages for JavaScript, as npm does; what is wanted comes as JSON on standard input.
'use strict';
const fs = require('node:fs');
const { bundleFromJSON, bundleToJSON } = require('@sigstore/bundle');
const { SigningConfig, TrustedRoot } = require('@sigstore/protobuf-specs');
const sign = require('@sigstore/sign');
const verify = require('@sigstore/verify');

const read = (file) => JSON.parse(fs.readFileSync(file));
const given = JSON.parse(fs.readFileSync(0));
const identityProvider = { getToken: async () => given.token };

const commands = {
  // A file, with the services of a signing configuration.
  async sign() {
    const builder = sign.bundleBuilderFromSigningConfig({
      signingConfig: SigningConfig.fromJSON(read(given.config)),
      identityProvider,
      bundleType: 'messageSignature',
    });
    const bundle = await builder.create({ data: fs.readFileSync(given.file) });
    fs.writeFileSync(given.bundle, JSON.stringify(bundleToJSON(bundle)));
  },
  // A statement in an envelope, with services named one by one.
  async attest() {
    const signer = new sign.FulcioSigner({ fulcioBaseURL: given.url, identityProvider });
    const { entryType, majorApiVersion } = given;
    const witnesses = [new sign.RekorWitness({ rekorBaseURL: given.url, entryType, majorApiVersion })];
    if (given.timestamp) witnesses.push(new sign.TSAWitness({ tsaBaseURL: given.url }));
    const builder = new sign.DSSEBundleBuilder({ signer, witnesses });
    const data = Buffer.from(JSON.stringify(given.statement));
    const bundle = await builder.create({ data, type: 'application/vnd.in-toto+json' });
    fs.writeFileSync(given.bundle, JSON.stringify(bundleToJSON(bundle)));
  },
  async verify() {
    const trust = verify.toTrustMaterial(TrustedRoot.fromJSON(read(given.root)));
    const verifier = new verify.Verifier(trust, { tlogThreshold: 1, ctlogThreshold: 1, timestampThreshold: 1 });
    const bundle = bundleFromJSON(read(given.bundle));
    const entity = bundle.content.$case === 'dsseEnvelope'
      ? verify.toSignedEntity(bundle)
      : verify.toSignedEntity(bundle, fs.readFileSync(given.file));
    verifier.verify(entity, { subjectAlternativeName: given.identity, extensions: { issuer: given.issuer } });
  },
};

commands[process.argv[2]]().catch((error) => {
  console.error(error, error.cause ?? '');
  process.exitCode = 1;
});
