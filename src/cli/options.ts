/** What every command is given. */
export interface CommandOptions {
  readonly configPath: string;
  readonly json: boolean;
}

/** What the commands are given that speak to running proxies. */
export interface AdminOptions extends CommandOptions {
  readonly admins: readonly string[];
  readonly tokenFile: string | null;
}
