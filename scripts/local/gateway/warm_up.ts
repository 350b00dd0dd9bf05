/**
 * The stack calls this, with the secret key, once the database is ready: functions may ask it while they load, and no
 * request should pay for the loading.
 */
export const WARM_UP_PATH = "/_stack/warm-up";
