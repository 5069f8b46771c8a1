// The alert that keys and the strip refer to, and its citation that is marked on the strip.

export class Selection {
  constructor() {
    this.clear();
  }

  set(alertId, citationNumber = null) {
    this.alertId = alertId;
    this.citationNumber = citationNumber;
  }

  clear() {
    this.set(null);
  }

  hasAlert(alert) {
    return this.alertId === alert.id;
  }

  hasCitation(alert, citation) {
    return this.hasAlert(alert) && this.citationNumber === citation.n;
  }
}
