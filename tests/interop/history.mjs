/**
 * What arrived, in order, with a cursor: `next` takes the first match after the cursor and moves it there, so nothing
 * is missed or counted twice however fast it came. A wait that times out says what did arrive.
 */
export class History {
  #name;
  #items = [];
  #cursor = 0;
  #waiting = null;  // {matches, resolve} of the wait in progress
  #ended = null;    // why nothing more will come

  constructor(name) {
    this.#name = name;
  }

  push(item) {
    this.#items.push(item);
    this.#wake();
  }

  end(why) {
    this.#ended = why;
    this.#wake();
  }

  /** Everything so far, or what came after the cursor. */
  all() { return [...this.#items]; }
  rest() { return this.#items.slice(this.#cursor); }

  /** `matches` decides; `what` names it in the message; `within_ms` is the deadline. */
  next(what, withinMs, matches) {
    if (this.#waiting) throw new Error(`${this.#name}: two waits at once`);
    const from = this.#cursor;
    return new Promise((resolve, reject) => {
      const finish = (settle, value) => {
        clearTimeout(timer);
        this.#waiting = null;
        settle(value);
      };
      const explain = (why) => new Error(
        `${this.#name}: waited for ${what}: ${why}. Arrived meanwhile: ${describe(this.#items.slice(from))}`);
      const timer = setTimeout(() => finish(reject, explain(`nothing within ${withinMs} ms`)), withinMs);
      this.#waiting = () => {
        while (this.#cursor < this.#items.length) {
          const item = this.#items[this.#cursor++];
          if (matches(item)) return finish(resolve, item);
        }
        if (this.#ended) finish(reject, explain(this.#ended));
      };
      this.#wake();
    });
  }

  #wake() {
    this.#waiting?.();
  }
}

/** One short line for a list of events. */
export function describe(items) {
  if (items.length === 0) return 'nothing';
  const shown = items.slice(-30).map((item) => {
    const { t_us: time, ...rest } = item;
    const text = JSON.stringify(rest);
    return text.length > 160 ? `${text.slice(0, 157)}...` : text;
  });
  return (items.length > shown.length ? `(${items.length - shown.length} more) ` : '') + shown.join(' ');
}
