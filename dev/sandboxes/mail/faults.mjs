/** What the mail server can be told to do wrong with the next messages, for tests of a sender. */
export const mailFaults = {
  /** 550 after DATA: permanent. */
  reject: 'reject',
  /** 550 5.1.1 after RCPT TO: permanent, and nodemailer names the recipient. */
  rejectRecipient: 'reject-recipient',
  /** 451 after DATA: temporary. */
  defer: 'defer',
  /** No answer after DATA, and the message is not kept: the sender runs into its own timeout. */
  hang: 'hang',
  /** The message is kept, then the connection drops without an answer: its outcome is unknown to the sender. */
  drop: 'drop',
  /** The message is kept, and no answer comes: a sender that is killed meanwhile never learns that it was taken. */
  keepSilent: 'keep-silent',
}
