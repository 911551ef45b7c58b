import { createHmac, timingSafeEqual } from 'node:crypto';

// Whether the signature header is the HMAC-SHA256 of the raw body, in hexadecimal.
export function isSignedBy(secret, rawBody, signature) {
  if (typeof signature !== 'string') return false;
  const expected = createHmac('sha256', secret).update(rawBody).digest();
  const given = Buffer.from(signature, 'hex');
  return given.length === expected.length && timingSafeEqual(given, expected);
}
