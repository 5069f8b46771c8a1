// The alert that keys and the reader refer to, and its citations that are marked on the strip.

export class Selection {
  constructor() {
    this.clear();
  }

  set(alertId, marked = []) {
    this.alertId = alertId;
    this.marked = new Set(marked);
  }

  clear() {
    this.set(null);
  }

  toggle(n) {
    if (!this.marked.delete(n)) this.marked.add(n);
  }

  hasAlert(alert) {
    return this.alertId === alert.id;
  }
}
